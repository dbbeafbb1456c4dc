"""``python -m tunebook``."""

from tunebook.cli import main

if __name__ == "__main__":
    main()
