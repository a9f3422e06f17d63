"""Benchmarks of speed, memory and imports: this client and its alternatives. `make bench` runs all of them."""
