"""What a mistake of a caller is answered with. It knows nothing of the client, so everything may use it."""
