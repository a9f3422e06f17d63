"""A text that does not show itself."""

import hmac
import re
from typing import Final, NoReturn

__all__ = ["B64TOKEN", "Secret"]


B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""What an access token is made of, RFC 6750 §2.1. Anything else could smuggle a line break into a header."""


class Secret:
    """A text that shows itself only to who asks with `reveal()`: not by repr, str, format or pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
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
