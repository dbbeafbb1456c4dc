"""Pages, figures and tables: drawing, no numbers of their own."""
