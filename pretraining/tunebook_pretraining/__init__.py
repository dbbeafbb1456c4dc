"""How the backbones that ship with Tunebook were made: recipes of their own, run by `tunebook train`."""
