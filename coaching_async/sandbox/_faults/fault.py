"""What a test orders: the kind of a fault, the requests that it applies to, and how often."""

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import attrs

from coaching_async.sandbox._wire.arguments import require_at_least, require_text, require_whole

from .targets import Operation, Target, checked_method, did_you_mean, method_and_path, target_of

FaultKind: TypeAlias = Literal[
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
]
"""The kind of a fault."""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

_LISTS: tuple[Operation, ...] = ("appointments.list", "appointments.list_mine")
EFFECTIVE_ON: Mapping[str, tuple[Operation, ...]] = {
    "accepted": ("appointments.create", "appointments.update", "appointments.delete"),
    "insert": _LISTS,
    "delete": _LISTS,
    "reorder": _LISTS,
}
"""The operations that a kind affects, if these are not all."""


def _validate_kind(_: object, __: object, kind: str) -> None:
    if kind not in KINDS:
        is_status = isinstance(kind, int)
        near = f'; did you mean Fault("status", status={kind})?' if is_status else did_you_mean(kind, KINDS)
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}{near}")


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

    The fault applies to the requests of one `operation`, a method of the client: "appointments.update". Or it applies to
    requests of `method` and `path`. A path with placeholders, `/appointments/{appointmentId}`, is one of the contract, or the end
    of one. Any other path is a regular expression, of which the path of the request, or its path and query, contains a match.
    Of these requests, the first `after` are skipped, and the fault applies to the next `times` (`math.inf` for all).

    Raises `ValueError` for a request that there cannot be, and `TypeError` for a value of a wrong kind.
    """

    kind: FaultKind = attrs.field(validator=_validate_kind)
    """What goes wrong: one of the kinds above."""
    method: str | None = attrs.field(default=None, converter=attrs.converters.optional(checked_method))
    """HTTP method of the requests. None for all."""
    path: str | None = None
    """A template of their path, or what their path, or path and query, matches. None for all."""
    times: float = 1
    """Number of requests that it applies to; `math.inf` for all."""
    after: int = 0
    """Number of matching requests that pass before the first one."""
    status: int | None = attrs.field(default=None, kw_only=True)
    """HTTP status, for the kind `status`."""
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    """Header Retry-After, for the kind `status`: seconds, or the text of the header."""
    body: Any = attrs.field(default=None, kw_only=True)
    """Body as JSON, for the kind `status`. None for an error body of the API."""
    delay: float = attrs.field(default=0.0, kw_only=True)
    """Seconds: between two bytes (`drip`), or until the work is done (`accepted`)."""
    size: int = attrs.field(default=2**28, kw_only=True)
    """Bytes of the body once it is decompressed, for `gzip_bomb`."""
    location: str | None = attrs.field(default=None, kw_only=True)
    """Header Location, for `redirect`."""
    operation: Operation | None = attrs.field(default=None, kw_only=True)
    """A method of the client, in place of `method` and `path`."""
    _method: str | None = attrs.field(init=False, repr=False, eq=False)
    _target: Target | None = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        require_text(path=self.path, location=self.location)
        require_at_least(1, times=self.times)
        require_at_least(0, delay=self.delay)
        require_whole(0, after=self.after)
        require_whole(1, size=self.size)
        if not isinstance(self.retry_after, str | None):
            require_at_least(-math.inf, retry_after=self.retry_after)
        for kind, name in (("status", "status"), ("redirect", "location")):
            if (self.kind == kind) is not (getattr(self, name) is not None):
                raise ValueError(f"{name} belongs to the kind {kind!r}, and that needs it")
        if self.status is not None:
            require_whole(200, status=self.status)
            if self.status > 599:
                raise ValueError(f"status must be 599 at most, not {self.status}")
        method, path = self.method, self.path
        if self.operation is not None:
            if method is not None or path is not None:
                raise ValueError("operation stands instead of method and path: give it, or these")
            method, path = method_and_path(self.operation)
            self._check_effect(self.operation)
        object.__setattr__(self, "_method", method)
        object.__setattr__(self, "_target", None if path is None else target_of(path, method))

    def _check_effect(self, operation: Operation) -> None:
        """Raise `ValueError` if a fault of this kind does nothing to an operation."""
        if self.kind in EFFECTIVE_ON and operation not in EFFECTIVE_ON[self.kind]:
            raise ValueError(f"{self.kind} affects {', '.join(EFFECTIVE_ON[self.kind])}, not {operation}")

    def matches(self, method: str, path: str, query: str) -> bool:
        if self._method is not None and self._method != method:
            return False
        return self._target is None or self._target.matches(path, query)
