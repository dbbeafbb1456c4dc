"""Sentiment of reviews: two or more labels, or ordered stars."""
