"""Backbones by name, how they are adapted, and how they are optimised."""
