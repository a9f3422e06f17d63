"""The operations of the API: a file for each family, with its handlers, request bodies and routes."""
