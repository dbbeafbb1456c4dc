"""Conversations with a tuned model, in the terminal or through a pipe."""
