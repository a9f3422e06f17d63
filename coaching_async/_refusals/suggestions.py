"""Suggestions for misspelled names: "did you mean ...?"."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["choices", "suggestion"]


def suggestion(word: object, names: Iterable[str]) -> str:
    """Return "did you mean x?" for the name that is nearest to a word, or that it begins with, or nothing if none is near.

    Case, blanks and punctuation do not count.
    """
    given, by_letters = _letters(str(word)), {_letters(name): name for name in names}
    near = get_close_matches(given, by_letters, n=1) or [each for each in by_letters if each and given.startswith(each)]
    return f"did you mean {by_letters[near[0]]}?" if near else ""


def choices(word: object, names: Iterable[str]) -> str:
    """Return the end of a refusal of a word: all names, and a suggestion."""
    names = tuple(map(str, names))
    return "; ".join(filter(None, (f"choose one of {', '.join(names)}", suggestion(word, names))))


def _letters(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
