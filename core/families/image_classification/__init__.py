"""The family of recipes that classify images."""
