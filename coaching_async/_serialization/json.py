"""Strict JSON (RFC 8259): parsing and serialization, with orjson where it is installed."""

import json
from typing import Any, Final, NoReturn, cast

__all__ = ["LARGE_BODY", "check_size", "dumps", "parse_json", "parse_object", "parse_with_orjson"]

try:
    import orjson
except ImportError:  # installed with the extra `fast`
    orjson = None  # type: ignore[assignment]


LARGE_BODY: Final = 2**18
"""Bytes of a body that is parsed in a worker thread, because parsing it would block the event loop for too long."""


MAX_VALUES: Final = 2**19
"""Approximate maximum of values in one body. A page of 10 MiB has fewer. Neither parser lets another thread run before it
ends, which takes a second for millions of values."""

MAX_ORJSON_SIZE: Final = 2**21
"""Bytes of the largest body that orjson parses, because it allocates twelve times the size."""


def check_size(content: bytes) -> None:
    """Raise `ValueError` for a text with more than `MAX_VALUES` values."""
    if sum(map(content.count, (b"{", b"[", b","))) > MAX_VALUES:
        raise ValueError(f"no JSON that can be read: it has more than {MAX_VALUES:,} values")


def parse_json(content: bytes) -> Any:
    """Return the JSON value of a body, parsed by the standard library. Raises `ValueError` if it is not JSON."""
    try:
        return DECODER.decode(content.decode("utf-8-sig"))
    except (RecursionError, ValueError) as error:
        problem = _describe_error(error)
    raise ValueError(f"no JSON: {problem}")


def parse_with_orjson(content: bytes) -> Any:
    """Return the JSON value of a body, parsed by orjson.

    Returns None without orjson, for a body above `MAX_ORJSON_SIZE`, and if orjson rejects the body. The value is that of
    `parse_json`, with one exception: orjson reads integers beyond 64 bits as floats.
    """
    if orjson is None or len(content) > MAX_ORJSON_SIZE:
        return None
    try:
        return orjson.loads(content)
    except ValueError:
        return None


def parse_object(content: bytes) -> dict[str, object]:
    """Return the JSON object of an error response; an empty one if the body is large or not an object.

    The status says enough without it.
    """
    try:
        value = parse_json(content) if len(content) <= LARGE_BODY else None
    except ValueError:
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def dumps(value: object) -> bytes:
    """Return a value as JSON. Raises `ValueError` or `TypeError` for a value that JSON cannot express."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _describe_error(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(getattr(error, "msg", error))  # the str() of a JSONDecodeError also quotes the place


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


DECODER: Final = json.JSONDecoder(parse_constant=_reject_constant)
