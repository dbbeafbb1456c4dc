"""Language models: loaded, their loss, and how they write."""
