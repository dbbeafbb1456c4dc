"""Findings in medical pictures."""
