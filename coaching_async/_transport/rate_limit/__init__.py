"""Rate limiting: how many requests one token sends in a sliding window, and in which order; client-side throttling."""
