"""The family of recipes that answer a text with a number."""
