"""Pictures as rows: read from files, checked, compared, and stored as bytes of one size."""
