"""The resources of the API: one method for each operation."""
