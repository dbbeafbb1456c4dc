"""Rows of conversations: read in the forms people have, checked turn by turn, compared as a whole."""
