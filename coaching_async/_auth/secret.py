"""The syntax of access tokens, and `Secret`: a text that is not shown by repr, str, format or pickle."""

import re
from typing import Final

from coaching_async._value import Secret

__all__ = ["B64TOKEN", "Secret"]


B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""Syntax of an access token (RFC 6750 §2.1). Anything else could put a line break into a header."""
