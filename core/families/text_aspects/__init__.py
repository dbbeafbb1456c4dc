"""The family of recipes that say what a text says of each of several aspects."""
