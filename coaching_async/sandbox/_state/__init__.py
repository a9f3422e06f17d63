"""The data in memory: what may be done to it, what is computed from it, and how it is saved."""
