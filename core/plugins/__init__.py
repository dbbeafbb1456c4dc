"""Recipes that others wrote, installed or in a folder: found by name, kept apart, imported only when chosen."""

from tunebook.plugins.find import GROUP, Found, find_recipes, offers, unknown_recipe
from tunebook.plugins.load import load_recipe_class

__all__ = ["GROUP", "Found", "find_recipes", "load_recipe_class", "offers", "unknown_recipe"]
