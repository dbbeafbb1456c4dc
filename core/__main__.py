"""``python -m tunebook``."""

from tunebook.cli.main import main

if __name__ == "__main__":
    main()
