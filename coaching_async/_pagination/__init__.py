"""Async iterators over lists."""
