"""What is checked before a release: `make release-check`, and `python -m tests.release --help`."""
