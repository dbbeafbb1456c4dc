"""A recipe to start from, as `tunebook new` writes it."""
