"""Synthetic chest X-rays and blood smears with known findings: sample data that anyone may share."""

from .draw import picture, pictures
from .picture import FINDINGS, Finding, Order, Picture
from .write import write

__all__ = ["FINDINGS", "Finding", "Order", "Picture", "picture", "pictures", "write"]
