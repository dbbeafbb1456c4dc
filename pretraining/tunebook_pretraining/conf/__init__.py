"""Pages of the pre-training recipes."""
