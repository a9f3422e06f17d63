"""Messages of the pipeline: call context, request, response; and `Send`, the interface of middleware and transport."""

import math
import re
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import anyio
import attrs

from coaching_async._events import Emit
from coaching_async._exceptions import OutcomeUnknown, Processed
from coaching_async._serialization.error_bodies import describe_body, is_error_body, is_web_page
from coaching_async._serialization.json import parse_object
from coaching_async._value import Value

from .cooldown import Cooldown
from .priority import Priority
from .retry_policy import Fault, RetryPolicy, Safety, fault_from_status, parse_retry_after

__all__ = ["CHECK_NETWORK", "BodyError", "CallContext", "Request", "Response", "Send", "SendError", "host_of"]


@attrs.define(eq=False, repr=False)
class CallContext:
    """State of one call over all its attempts, known to each layer of the pipeline."""

    operation: str
    emit: Emit
    policy: RetryPolicy
    priority: Priority = Priority.INTERACTIVE
    host: str = ""
    """The host that its requests are for."""
    scope: anyio.CancelScope | None = None
    """Its deadline."""
    advice_on_401: str | None = None
    """What to do if the token is rejected."""
    is_captured: bool = False
    """Whether the caller wants the response itself (`CoachingClient.raw`) rather than what a 202 leads to."""
    attempts: int = 0
    processed: Processed = "no"
    last_response: "Response | None" = None
    """The last response that the pipeline returned."""
    pending_error: OutcomeUnknown | None = None
    """Error about the value, if the response only accepts the request (202) and the caller does not wait for the value."""
    deadline_too_close: bool = False
    """Whether the last retry was given up only because its delay would exceed the deadline."""
    waited: float = 0.0
    """Seconds that it has waited so far for permits, slots and cooldowns."""

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Measure the time that the call waits in this block. The deadline of a bulk call is extended by it."""
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


def host_of(url: str) -> str:
    """Return the host of a URL, with its port if it has one, without name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


NO_COOLDOWN: Final = Cooldown()
"""A cooldown that is never started."""


@attrs.frozen(eq=False, repr=False)
class Request:
    """One request, independent of HTTP libraries. `url` is absolute and includes the query."""

    call: CallContext
    method: str
    url: str
    safety: Safety
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    content: bytes | None = None
    cooldown: Cooldown = NO_COOLDOWN
    """The cooldown of the token that it is sent with."""

    @property
    def host(self) -> str:
        """The host that it is for."""
        return host_of(self.url)

    def with_header(self, name: str, value: str) -> "Request":
        """Return the same request with one more header."""
        headers = {**self.headers, name: value}
        return Request(self.call, self.method, self.url, self.safety, headers, self.content, self.cooldown)

    def with_cooldown(self, cooldown: Cooldown) -> "Request":
        """Return the same request with the cooldown of its token."""
        return Request(self.call, self.method, self.url, self.safety, self.headers, self.content, cooldown)

    def mark_sent(self) -> None:
        """Record that the service may carry the request out from now on."""
        if self.safety is not Safety.SAFE:
            self.call.processed = "maybe"


@attrs.frozen(eq=False, repr=False)
class BodyError(Value):
    """Why a response has no usable body. A retry may help if `is_transient`."""

    text: str
    is_transient: bool = False


@attrs.frozen(eq=False, repr=False)
class Response(Value):
    """A response with its whole body, or the `body_error`. The names of `headers` are case-insensitive."""

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    content: bytes = attrs.field(default=b"", repr=False)
    body_error: BodyError | None = None

    @property
    def fault(self) -> Fault | None:
        """The fault that the retry table decides by; None for a final response."""
        if 200 <= self.status < 300 and self.body_error is not None and self.body_error.is_transient:
            return Fault.BODY_CORRUPT
        return fault_from_status(self.status)

    @property
    def is_from_service(self) -> bool:
        """Whether the service itself has responded, and not a gateway, proxy or captive portal on the way.

        The service sends no web page and no redirect. The form of an error's body shows who sent it. Without a body, the
        header of the service does, or a challenge about the token.
        """
        if self.status < 300:
            return not is_web_page(self.headers.get("content-type"), self.content)
        if self.status < 400:
            return False
        if self.content:
            return is_error_body(parse_object(self.content), self.status)
        is_challenge = self.status == 401 and self.headers.get("www-authenticate", "").lower().startswith("bearer")
        return is_challenge or "inin-correlation-id" in self.headers

    def describe_foreign(self, host: str) -> str:
        """Return who sent this response instead of `host`, and what it is."""
        found = (
            "a redirect" if 300 <= self.status < 400 else describe_body(self.headers.get("content-type"), self.content)
        )
        return f"{self.status} from a gateway, proxy or captive portal before {host}, with {found}"

    @property
    def correlation_id(self) -> str | None:
        """The id to quote to support, from the header, or from the body of an error; None if there is no valid one."""
        found: object = self.headers.get("inin-correlation-id")
        if found is None and self.status >= 400:
            found = parse_object(self.content).get("contextId")
        return found if isinstance(found, str) and CORRELATION_ID.fullmatch(found) else None

    @property
    def retry_after(self) -> float | None:
        """Seconds from the Retry-After header; None if absent or invalid."""
        return parse_retry_after(self.headers.get("retry-after"), self.headers.get("date"))


CHECK_NETWORK: Final = "check the URL, the proxy and the network"
"""What to do if something between the client and the service has responded."""


CORRELATION_ID: Final = re.compile(r"[\w.:-]{1,100}", re.ASCII)


Send: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Interface of the transport and of each middleware around it."""


class SendError(Exception):
    """No response was received. The cause is safe to show, because it holds no request and no traceback."""

    retry_after: Final = None
    """A response may have one; without a response there is none."""

    def __init__(self, fault: Fault, cause: Exception) -> None:
        super().__init__(str(cause) or type(cause).__name__)
        self.fault = fault
        self.cause = cause
