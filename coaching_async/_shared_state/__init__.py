"""State that several processes share: a place that keeps short texts, and what a client needs to rely on it."""
