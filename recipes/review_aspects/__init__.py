"""Aspects of reviews."""
