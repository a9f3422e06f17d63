"""Access tokens: how they are obtained, kept, refreshed and put on requests."""
