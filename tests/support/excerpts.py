"""Excerpts of long outputs."""

__all__ = ["excerpt"]


def excerpt(text: str, first: int = 40, last: int = 20) -> str:
    """Return the first and the last lines of a text, and how many lines are left out between them."""
    lines = text.splitlines(keepends=True)
    left_out = len(lines) - first - last
    if left_out <= 1:
        return text
    return "".join([*lines[:first], f"[{left_out:,} lines left out]\n", *lines[-last:]])
