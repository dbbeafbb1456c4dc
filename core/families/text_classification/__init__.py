"""The family of recipes that put a label on a text."""
