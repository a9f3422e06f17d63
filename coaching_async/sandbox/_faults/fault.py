"""Faults on order: what goes wrong, for which requests, how often."""

import re
import threading
from typing import Any

import attrs

from .handlers import KINDS


def _known(_: object, __: object, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")


@attrs.frozen
class Fault:
    """Something that shall go wrong.

    Instead of the work:

    * `drop_before` cuts the connection; `stall` never answers; `garbage` answers what is no HTTP;
    * `status` answers that `status` (with `retry_after` and `body` if given); `html` answers 200 with a page for people;
      `redirect` answers 307 to `location`; `revoke` makes all access tokens useless and answers 401;
    * `gzip_bomb` answers 200 with blanks, few as they travel and `size` bytes when they are unpacked.

    After the work:

    * `drop_after` cuts the connection; `half_body` cuts the answer in two;
    * `drip` sends the answer's body a byte at a time, `delay` seconds apart;
    * `wrong_shape` answers 200 and JSON that is not what was promised: `entities` is no list, and what should be an
      object is a list.

    `accepted` answers a create, update or delete of an appointment with 202, and its work is seen after `delay` seconds.

    Before the work, where it is to list appointments and there are any; all that the request asks for is listed, and not
    its page alone:

    * `insert` adds a twin of the first one listed, which is listed before it;
    * `delete` deletes the first one;
    * `reorder` gives the first one the date of the last.

    It applies to requests of that `method` whose path (or path and query) has a match for the regular expression
    `path`: to `times` of them (`math.inf` for all), after it let the first `after` pass.
    """

    kind: str = attrs.field(validator=_known)
    method: str | None = None
    path: str | None = None
    times: float = attrs.field(default=1, validator=attrs.validators.ge(1))
    after: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    status: int | None = attrs.field(default=None, kw_only=True)
    retry_after: float | str | None = attrs.field(default=None, kw_only=True)
    body: Any = attrs.field(default=None, kw_only=True)
    delay: float = attrs.field(default=0.0, kw_only=True, validator=attrs.validators.ge(0))
    size: int = attrs.field(default=2**28, kw_only=True, validator=attrs.validators.ge(1))
    location: str | None = attrs.field(default=None, kw_only=True)

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


@attrs.define(eq=False)
class _Order:
    fault: Fault
    passing: int
    left: float


@attrs.define(eq=False)
class Faults:
    """The faults on order; the first that matches and is due is applied. May be used from any thread."""

    _orders: list[_Order] = attrs.field(factory=list, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._orders.extend(_Order(fault, fault.after, fault.times) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """What was ordered and has not been applied as often as it shall be."""
        with self._lock:
            return tuple(order.fault for order in self._orders)

    def take(self, method: str, path: str, query: str) -> Fault | None:
        with self._lock:
            for order in self._orders:
                if not order.fault.matches(method, path, query):
                    continue
                if order.passing:
                    order.passing -= 1
                    continue
                order.left -= 1
                if order.left < 1:
                    self._orders.remove(order)
                return order.fault
        return None
