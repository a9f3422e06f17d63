"""Error bodies: which ones have the form of the API, and what something between the client and the API sends instead."""

import re
from codecs import BOM_UTF8
from typing import Final

__all__ = ["describe_body", "is_error_body", "is_web_page"]


CODE: Final = re.compile(r"[A-Za-z][\w-]*((?:\.[\w-]+)*)", re.ASCII)
"""An error code of the API: words, of which all known codes have at least two, with dots between them (`not.found`)."""


MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


def is_error_body(body: dict[str, object], status: int) -> bool:
    """Return whether a JSON object has the form of the API's error bodies, in a response of that status.

    Gateways send a `message`, a `code` or a `status`, too. Only the API sends a `contextId`, or a code of dotted words, or
    a code together with the status of the response.
    """
    code, body_status, context_id = body.get("code"), body.get("status"), body.get("contextId")
    if body_status is not None and (type(body_status) is not int or body_status != status):
        return False
    has_context = isinstance(context_id, str) and bool(context_id)
    if code is None:
        return has_context
    words = CODE.fullmatch(code) if isinstance(code, str) else None
    return words is not None and (bool(words[1]) or body_status is not None or has_context)


def is_web_page(content_type: str | None, content: bytes) -> bool:
    """Return whether a body is markup or other text that is not meant to be JSON, whatever its content type says."""
    start = _first_character(content)
    if start in {b"{", b"["}:
        return False
    return start == b"<" or (bool(start) and content_type is not None and "json" not in content_type.lower())


def describe_body(content_type: str | None, content: bytes) -> str:
    """Return what a body is, for an error message. It is not quoted, because it may contain anything."""
    if not content:
        return "no body"
    media_type = MEDIA_TYPE.match(content_type or "")
    kind = f" ({media_type[0]})" if media_type else ""
    if _first_character(content) == b"<" or "html" in kind:
        return f"a web page{kind}"
    return f"a body{kind} that is not in the form of the API"


def _first_character(content: bytes) -> bytes:
    return content.removeprefix(BOM_UTF8).lstrip()[:1]
