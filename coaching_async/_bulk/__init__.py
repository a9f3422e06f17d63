"""Bulk calls: one call for each of many items."""
