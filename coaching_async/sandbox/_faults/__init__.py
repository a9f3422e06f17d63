"""Faults that a test orders, and how each of them is carried out."""
