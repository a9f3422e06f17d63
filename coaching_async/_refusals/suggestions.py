"""Suggestions for misspelled names: "did you mean ...?"."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["choices", "suggestion"]


def suggestion(word: object, names: Iterable[str]) -> str:
    """Return "did you mean x?" for the name that is nearest to a word, or nothing if none is near.

    Case, blanks and punctuation do not count.
    """
    by_letters = {_letters(name): name for name in names}
    near = get_close_matches(_letters(str(word)), by_letters, n=1)
    return f"did you mean {by_letters[near[0]]}?" if near else ""


def choices(word: object, names: Iterable[str]) -> str:
    """Return the end of a refusal of a word: all names, and a suggestion."""
    names = tuple(map(str, names))
    return "; ".join(filter(None, (f"choose one of {', '.join(names)}", suggestion(word, names))))


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
