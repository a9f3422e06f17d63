"""The command `coaching-async create`: creates the appointments of a CSV file, each of them once."""

from .command import create_

__all__ = ["create_"]
