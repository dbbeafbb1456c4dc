"""The family of recipes that tell what is in an image."""
