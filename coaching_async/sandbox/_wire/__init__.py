"""The conventions that all operations of the API share: JSON formats, query parameters, pages, errors, responses."""
