"""What every config holds: the typed keys that all runs share, their names and their ranges."""
