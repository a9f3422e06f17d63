"""One HTTP exchange, and the middleware around it."""
