"""Names in sentences: a family of recipes that put a tag on each word, written outside Tunebook."""
