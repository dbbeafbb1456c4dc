"""From files to checked rows: read, check, label set, leak guard, split. Nothing here imports torch."""
