"""The recipes that come with Tunebook, one folder each, found through entry points like anyone else's."""
