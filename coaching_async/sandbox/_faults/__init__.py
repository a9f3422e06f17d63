"""Faults: how a test orders them, and how each is carried out."""
