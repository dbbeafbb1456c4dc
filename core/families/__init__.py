"""The families that a recipe starts from."""
