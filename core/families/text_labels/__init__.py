"""The family of recipes that put any number of labels on a text."""
