"""The wire format: what requests and responses of all operations have in common."""
