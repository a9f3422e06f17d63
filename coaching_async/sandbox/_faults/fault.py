"""What a test orders: the kind of a fault, the requests that it applies to, and how often."""

import re
from typing import Any

import attrs

KINDS = (
    "drop_before",
    "drop_after",
    "status",
    "stall",
    "garbage",
    "html",
    "redirect",
    "revoke",
    "gzip_bomb",
    "half_body",
    "drip",
    "wrong_shape",
    "odd_row",
    "accepted",
    "insert",
    "delete",
    "reorder",
)


def _validate_kind(_: object, __: object, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")


@attrs.frozen
class Fault:
    """A failure that the sandbox injects.

    Instead of the operation:

    * `drop_before` aborts the connection; `stall` never responds; `garbage` sends bytes that are not HTTP;
    * `status` responds with `status` (and `retry_after` and `body`, if given); `html` responds 200 with an HTML page;
      `redirect` responds 307 to `location`; `revoke` revokes all access tokens and responds 401;
    * `gzip_bomb` responds 200 with spaces, few bytes compressed and `size` bytes decompressed.

    After the operation:

    * `drop_after` aborts the connection; `half_body` closes it in the middle of the body;
    * `drip` sends the body of the response one byte at a time, `delay` seconds apart;
    * `wrong_shape` responds 200 with JSON of another shape: `entities` (or `results`) is an object instead of a list,
      and any other object is a list;
    * `odd_row` sends a page of a list with a first row whose fields, apart from its id, are all of another type.

    `accepted` responds 202 to a create, update or delete of an appointment, which is carried out after `delay` seconds.

    Before an operation that lists appointments, if any match its filters (on whichever page):

    * `insert` adds a copy of the first one, which is listed before it;
    * `delete` deletes the first one;
    * `reorder` gives the first one the date of the last one.

    The fault applies to requests of `method` whose path (or path and query) contains a match for the regular expression
    `path`: to `times` of them (`math.inf` for all), after the first `after`.
    """

    kind: str = attrs.field(validator=_validate_kind)
    """What goes wrong: one of the kinds above."""
    method: str | None = None
    """HTTP method of the requests. None for all."""
    path: str | None = None
    """What their path, or path and query, matches. None for all."""
    times: float = attrs.field(default=1, validator=attrs.validators.ge(1))
    """Number of requests that it applies to; `math.inf` for all."""
    after: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """Number of matching requests that pass before the first one."""
    status: int | None = attrs.field(default=None, kw_only=True)
    """HTTP status, for the kind `status`."""
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    """Header Retry-After, for the kind `status`: seconds, or the text of the header."""
    body: Any = attrs.field(default=None, kw_only=True)
    """Body as JSON, for the kind `status`. None for an error body of the API."""
    delay: float = attrs.field(default=0.0, kw_only=True, validator=attrs.validators.ge(0))
    """Seconds: between two bytes (`drip`), or until the work is done (`accepted`)."""
    size: int = attrs.field(default=2**28, kw_only=True, validator=attrs.validators.ge(1))
    """Bytes of the body once it is decompressed, for `gzip_bomb`."""
    location: str | None = attrs.field(default=None, kw_only=True)
    """Header Location, for `redirect`."""

    def __attrs_post_init__(self) -> None:
        for kind, name in (("status", "status"), ("redirect", "location")):
            if (self.kind == kind) is not (getattr(self, name) is not None):
                raise ValueError(f"{name} belongs to the kind {kind!r}, and that needs it")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be between 200 and 599, not {self.status}")
        if self.path is not None:
            try:
                re.compile(self.path)
            except re.error as error:
                raise ValueError(f"path must be a regular expression: {error}") from error

    def matches(self, method: str, path: str, query: str) -> bool:
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or any(re.search(self.path, target) for target in (path, f"{path}?{query}"))
