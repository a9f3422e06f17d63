"""What goes through the layers: a call, its requests, and what comes back."""

import math
import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

import anyio
import attrs

from coaching_async._events import Emit
from coaching_async._exceptions import OutcomeUnknown, Processed
from coaching_async._serialization.json import parse_object
from coaching_async._value import Value

from .priority import Priority
from .retry_policy import Fault, RetryPolicy, Safety, fault_from_status, parse_retry_after
from .throttling import Cooldown

__all__ = ["BodyError", "CallContext", "Request", "Response", "Send", "SendError"]


@attrs.define(eq=False, repr=False)
class CallContext:
    """What is known so far of one call of the user's, over all its requests."""

    operation: str
    emit: Emit
    policy: RetryPolicy
    priority: Priority = Priority.INTERACTIVE
    scope: anyio.CancelScope | None = None
    """What ends it at its deadline."""
    is_captured: bool = False
    """Whether somebody wants the answer rather than what it leads to."""
    attempts: int = 0
    processed: Processed = "no"
    last_response: "Response | None" = None
    """The last one that came up to the call."""
    pending_error: OutcomeUnknown | None = None
    """What to say of the value, where the answer is no more than a promise of it, and nobody waits."""
    deadline_too_close: bool = False
    """Whether it was given up only because its deadline left no room."""
    waited: float = 0.0
    """Seconds for its turn, so far."""

    @contextmanager
    def waiting(self) -> Generator[None]:
        """While it waits for its turn. Who is in no hurry has all of its time left then."""
        started, scope = anyio.current_time(), None if self.priority is Priority.INTERACTIVE else self.scope
        deadline = math.inf if scope is None else scope.deadline
        if scope is not None:
            scope.deadline = math.inf
        try:
            yield
        finally:
            elapsed = anyio.current_time() - started
            self.waited += elapsed
            if scope is not None:
                scope.deadline = deadline + elapsed


NO_COOLDOWN: Final = Cooldown()
"""One that is never begun."""


@attrs.frozen(eq=False, repr=False)
class Request:
    """One request, before any HTTP library knows of it. `url` is whole, query included."""

    call: CallContext
    method: str
    url: str
    safety: Safety
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content: bytes | None = None
    cooldown: Cooldown = NO_COOLDOWN
    """Of the token that it is sent with."""

    def with_header(self, name: str, value: str) -> "Request":
        """The same request with one header more."""
        headers = {**self.headers, name: value}
        return Request(self.call, self.method, self.url, self.safety, headers, self.content, self.cooldown)

    def with_cooldown(self, cooldown: Cooldown) -> "Request":
        """The same request, with a token that may be told to wait."""
        return Request(self.call, self.method, self.url, self.safety, self.headers, self.content, cooldown)

    def mark_sent(self) -> None:
        """Record that the service may carry the request out from now on."""
        if self.safety is not Safety.SAFE:
            self.call.processed = "maybe"


@attrs.frozen(eq=False, repr=False)
class BodyError(Value):
    """Why an answer has no usable body. One that is `passing` may be gone at the next attempt."""

    text: str
    is_transient: bool = False


@attrs.frozen(eq=False, repr=False)
class Response(Value):
    """An answer, read in full, or as far as its `flaw` lets. `headers` finds names in any case."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    content: bytes = attrs.field(default=b"", repr=False)
    body_error: BodyError | None = None

    @property
    def fault(self) -> Fault | None:
        """What is wrong with it, as far as sending again is concerned."""
        if 200 <= self.status < 300 and self.body_error is not None and self.body_error.is_transient:
            return Fault.BODY_CORRUPT
        return fault_from_status(self.status)

    @property
    def correlation_id(self) -> str | None:
        """The id to quote to support, from the header or, of an error, its body; None where it is no such id."""
        found: object = self.headers.get("inin-correlation-id")
        if found is None and self.status >= 400:
            found = parse_object(self.content).get("contextId")
        return found if isinstance(found, str) and CORRELATION_ID.fullmatch(found) else None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait."""
        return parse_retry_after(self.headers.get("retry-after"), self.headers.get("date"))


CORRELATION_ID: Final = re.compile(r"[\w.:-]{1,100}", re.ASCII)


Send: TypeAlias = Callable[[Request], Awaitable[Response]]


class SendError(Exception):
    """No response was received. The cause is safe to show, because it holds no request and no traceback."""

    retry_after: Final = None
    """A response may have one; without a response there is none."""

    def __init__(self, fault: Fault, cause: Exception) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.fault = fault
        self.cause = cause
