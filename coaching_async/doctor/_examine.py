"""Examination: the order of the checks, the requests that they send, and what each response means."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import anyio
import attrs

from coaching_async import (
    AccessToken,
    AuthError,
    ClientMisuse,
    CoachingClient,
    CoachingError,
    ConfigurationError,
    RateLimit,
    RateLimited,
    RawResponse,
    ResponseError,
    ServerError,
    SharedState,
    Unauthorized,
)
from coaching_async._refusals.arguments import checked_instance, checked_several
from coaching_async._refusals.suggestions import choices

from ._advice import is_proxys, network_advice
from ._listening import SUBSCRIBE, check_channels, check_topic, check_websocket, tried_operations
from ._local_checks import DEADLINE, ONE_RETRY, ConfiguredClient, check_environment, check_proxies, configured_client
from ._operations import (
    LIST_MINE,
    OPERATIONS,
    READS,
    ROLES,
    Answer,
    Grants,
    check_operation,
    entities,
    granted_permissions,
    is_user_token,
)
from ._results import Check, Examination
from ._sharing import check_shared_state

__all__ = ["TOKEN", "examine"]

TOKEN: Final = "/api/v2/tokens/me"
"""Path of the token's description. It needs no permission."""

LIMITS: Final = "/api/v2/organizations/limits/namespaces/platform.api"
"""Path of the org's rate limits. It needs limits:organization:view."""

RATES: Final = frozenset({"token.rate.per.minute", "client.credentials.token.rate.per.minute"})

READS_TIMEOUT: Final = 30.0
"""Timeout of all GET requests together, in seconds."""

MAX_CLOCK_DIFFERENCE: Final = timedelta(seconds=30)
"""A larger difference between the clocks is a problem."""


async def examine(
    client: CoachingClient | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    needs: Iterable[str] | str = (),
    shared_state: SharedState | None = None,
) -> Examination:
    """Examine a client, or the one that `environ` (by default `os.environ`) configures if none is given.

    `needs` names the operations that the program calls ("appointments.list"). A missing permission for one of them is a
    problem. A given client stays open, and its own shared state is examined; `shared_state` is for the client of `environ`. The
    examination sends some 20 requests, and takes less than a minute if a host does not respond. Proxies and certificates are
    those of the process.

    Permission: none
    Raises: `TypeError` for what is no client; `ValueError` for an unknown operation, or a shared state beside a client;
    `ConfigurationError` for a `shared_state` that is none; `ClientMisuse` if the client is closed or belongs to another event
    loop, or a shared state is not open.
    All other failures are results of the checks.
    """
    needed = frozenset((needs,) if isinstance(needs, str) else checked_several("needs", needs, str))
    if unknown := sorted(needed.difference(OPERATIONS)):
        raise ValueError(f"{unknown[0]!r} is no operation: {choices(unknown[0], OPERATIONS)}")
    if client is not None:
        if shared_state is not None:
            raise ValueError("a client has a shared state of its own: leave out shared_state, or the client")
        view = checked_instance("client", client, CoachingClient).with_options(timeout=DEADLINE, retry=ONE_RETRY)
        checks = await _check_service(view, needed)
        return _examination(check_proxies(None), *await check_shared_state(view), *checks)
    CoachingClient(AccessToken("none"), shared_state=shared_state)  # refuses what is no shared state
    environ = os.environ if environ is None else environ  # not a default, because signatures show defaults
    configured = configured_client(environ, shared_state)
    if isinstance(configured, Check):
        return _examination(configured, check_proxies(None), _skipped("the environment does not tell how"))
    try:
        checks = await _check_service(configured, needed)
        checks = [*await check_shared_state(configured), *checks]
    finally:
        await configured.aclose()
    return _examination(check_environment(environ, configured), check_proxies(configured), *checks)


def _examination(*checks: Check) -> Examination:
    # A later check replaces an earlier one of the same name.
    return Examination(tuple({check.name: check for check in checks}.values()))


def _skipped(because: str) -> Check:
    return Check("service", "not known", f"not asked any further, because {because}")


async def _check_service(client: CoachingClient, needed: frozenset[str]) -> list[Check]:
    """Run the checks that send requests."""
    before = client.stats()
    try:
        await client.warmup()
    except ClientMisuse:
        raise
    except CoachingError as error:
        return [
            _check_unreachable(error, client, has_logged_in=client.stats().requests > before.requests),
            _skipped("of that"),
        ]
    first = await _timed_response(client, TOKEN)
    if isinstance(first.answer, CoachingError) and not isinstance(first.answer, ResponseError):
        return [_check_unreachable(first.answer, client, has_logged_in=True), _skipped("of that")]
    credentials = _check_credentials(first.answer, client)
    if credentials.state == "problem":
        return [_check_connection([]), credentials, _skipped("the token is refused")]
    asked = {TOKEN: first}

    async def ask(question: str) -> None:
        asked[question] = await _timed_response(client, question)

    with anyio.move_on_after(READS_TIMEOUT):
        await client.bulk(ask, [*READS, ROLES, LIMITS])
    answers = {question: each.answer for question, each in asked.items()}
    throttled = client.stats().throttled - before.throttled
    listening = await _check_listening(client, answers, needed)
    return [
        _check_connection(answers.values()),
        credentials,
        _check_clock(asked.values()),
        _check_rate_limit(answers.get(LIMITS), throttled, client),
        *listening,
        *_check_operations(answers, needed),
        *tried_operations(listening),
    ]


@attrs.frozen
class _TimedResponse:
    """A response, with the times of its request and its arrival."""

    answer: Answer
    sent_at: datetime
    received_at: datetime


async def _timed_response(client: CoachingClient, question: str) -> _TimedResponse:
    sent_at = datetime.now(UTC)
    answer: Answer
    try:
        answer = await (READS[question](client) if question in READS else _get(client, question))
    except ClientMisuse:
        raise
    except CoachingError as error:
        answer = error
    return _TimedResponse(answer, sent_at, datetime.now(UTC))


async def _get(client: CoachingClient, path: str) -> RawResponse[Any]:
    # Without this parameter the request would extend the lifetime of an idle token.
    return await client.request("GET", path, query={"preserveIdleTTL": True} if path == TOKEN else None)


def _check_unreachable(error: CoachingError, client: CoachingClient, *, has_logged_in: bool) -> Check:
    if isinstance(error, ConfigurationError):
        return Check("proxy", "problem", str(error), "Correct or unset it.")
    if isinstance(error, AuthError) and error.status is not None and not error.is_from_gateway:
        return Check("credentials", "problem", str(error.args[0]), _refusal_advice(error.status))
    if is_proxys(error):
        return Check("proxy", "problem", str(error), network_advice(error))
    host = "the API host" if has_logged_in else "the login host"
    if isinstance(client, ConfiguredClient):
        host += f" {client.api_host if has_logged_in else client.login_host}"
    return Check("connection", "problem", f"{host}: {error}", network_advice(error))


def _check_connection(answers: Iterable[Answer]) -> Check:
    failed = [str(answer) for answer in answers if isinstance(answer, CoachingError) and not _is_from_api(answer)]
    if not failed:
        return Check("connection", "ok", "the hosts answer")
    sentence = f"{len(failed)} of the reads got no sane answer; {failed[0]}"
    return Check(
        "connection", "problem", sentence, "Try again; if it stays so, the network or the service is out of order."
    )


def _is_from_api(error: CoachingError) -> bool:
    """Return whether the API itself has responded."""
    if isinstance(error, RateLimited):
        return True
    return isinstance(error, ResponseError) and not error.is_from_gateway and not isinstance(error, ServerError)


def _refusal_advice(status: int) -> str:
    if status == 429:
        return "Wait a minute. Many programs fetch tokens: let them share a client or a shared_state, and with it one token."
    if status >= 500:
        return "The login host is out of order: try again later."
    return (
        "Check id and secret, and that the OAuth client is one of this region, with the grant type Client Credentials, "
        "and not disabled: Admin, Integrations, OAuth."
    )


def _check_credentials(answer: Answer, client: CoachingClient) -> Check:
    if isinstance(answer, Unauthorized):
        advice = "The token has expired, or is one of another region: get a new one."
        return Check("credentials", "problem", str(answer), advice)
    if isinstance(answer, CoachingError) and not _is_from_api(answer):
        return Check("credentials", "not known", f"there is a token, and whether it is accepted is not told: {answer}")
    life = client.token_lifetime if isinstance(client, ConfiguredClient) else None
    return Check("credentials", "ok", f"the token is accepted{f'; it lives {_duration(life)}' if life else ''}")


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"


def _check_clock(asked: Iterable[_TimedResponse]) -> Check:
    for response in asked:
        service_time = _service_time(response.answer)
        if service_time is not None:
            # `Date` is truncated to a second, and was set at some time between request and response.
            difference = (
                service_time
                + timedelta(seconds=0.5)
                - (response.sent_at + (response.received_at - response.sent_at) / 2)
            )
            seconds = abs(round(difference.total_seconds()))
            if abs(difference) <= MAX_CLOCK_DIFFERENCE:
                return Check("clock", "ok", f"it is within {max(seconds, 1)} s of the service's")
            sentence = f"it is {seconds} s {'behind' if difference > timedelta(0) else 'ahead of'} the service's"
            return Check(
                "clock", "problem", sentence, "Let it be set by NTP: certificates, and what is asked by time, go by it."
            )
    return Check("clock", "not known", "no answer tells the time")


def _service_time(answer: Answer) -> datetime | None:
    try:
        service_time = parsedate_to_datetime(answer.headers["date"]) if isinstance(answer, RawResponse) else None
    except (KeyError, OverflowError, ValueError):
        return None
    return service_time if service_time is None or service_time.tzinfo else service_time.replace(tzinfo=UTC)


def _check_rate_limit(answer: Answer | None, throttled: int, client: CoachingClient) -> Check:
    if throttled:
        sentence = f"{throttled} of the answers were 429, though little was asked"
        advice = "Something else uses this token, or the org allows less: share a client or a shared_state, or give it a lower rate_limit."
        return Check("rate limit", "problem", sentence, advice)
    ours = client.rate_limit if isinstance(client, ConfiguredClient) else RateLimit()
    known = [
        value
        for entity in entities(answer.json if isinstance(answer, RawResponse) else None)
        if str(entity.get("key")) in RATES and type(value := entity.get("value")) is int and value > 0
    ]
    if not known:
        sentence = (
            f"the service does not tell it; a client keeps to {ours.requests} requests in {ours.per:g} s unless told"
        )
        return Check("rate limit", "not known", sentence)
    sentence = f"the org allows {min(known)} requests a minute; a client keeps to {ours.requests} unless told"
    if min(known) < ours.requests:
        return Check("rate limit", "problem", sentence, f"Give the client rate_limit=RateLimit({min(known)}, per=60).")
    return Check("rate limit", "ok", sentence)


async def _check_listening(
    client: CoachingClient, answers: Mapping[str, Answer], needed: frozenset[str]
) -> tuple[Check, ...]:
    channels = check_channels(answers.get("topics.channels"))
    topic = check_topic(answers.get("topics.available"), _grants(answers))
    websocket = await check_websocket(client, answers.get("users.me"), channels, is_needed=SUBSCRIBE in needed)
    return channels, topic, websocket


def _check_operations(answers: Mapping[str, Answer], needed: frozenset[str]) -> list[Check]:
    grants = _grants(answers)
    is_user = is_user_token(answers.get(LIST_MINE))
    found = [check_operation(operation, answers.get(operation), grants, is_user=is_user) for operation in OPERATIONS]
    return [_apply_needs(check, is_needed=check.name in needed) for check in found]


def _grants(answers: Mapping[str, Answer]) -> Grants | None:
    roles = answers.get(ROLES)
    return granted_permissions(roles.json) if isinstance(roles, RawResponse) else None


def _apply_needs(check: Check, *, is_needed: bool) -> Check:
    if check.state == "not allowed" and is_needed:
        return attrs.evolve(check, state="problem")
    return attrs.evolve(check, advice=None)
