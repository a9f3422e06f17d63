"""Secrets: credentials and tokens that are not shown by repr, str, format or pickle."""

import hmac
import re
from typing import Final, NoReturn

from coaching_async._value import OwnCopy

__all__ = ["B64TOKEN", "Secret"]


B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""Syntax of an access token (RFC 6750 §2.1). Anything else could put a line break into a header."""


class Secret(OwnCopy):
    """A secret text. Only `reveal()` returns it; repr, str, format and pickle do not show it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would lie in the clear wherever the pickle goes")
