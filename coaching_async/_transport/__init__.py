"""One HTTP exchange, and the middleware around it: retry, rate limit, concurrency limit."""
