"""The data in memory, and what is computed from it."""
