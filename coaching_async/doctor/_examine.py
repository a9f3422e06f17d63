"""Examining: what is asked, in which order, and what each answer means."""

import os
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import anyio
import attrs

from coaching_async import (
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
    TransportError,
    Unauthorized,
)

from ._local_checks import DEADLINE, ONE_RETRY, ConfiguredClient, configured, environment, proxies
from ._operations import (
    MINE,
    OPERATIONS,
    READS,
    ROLES,
    Answer,
    check_operation,
    entities,
    granted_permissions,
    is_a_users,
)
from ._results import Check, Examination

__all__ = ["TOKEN", "examine"]

TOKEN: Final = "/api/v2/tokens/me"
"""What a token is; needs no permission."""

LIMITS: Final = "/api/v2/organizations/limits/namespaces/platform.api"
"""What the org allows; needs limits:organization:view."""

RATES: Final = frozenset({"token.rate.per.minute", "client.credentials.token.rate.per.minute"})

PATIENCE: Final = 30.0
"""Seconds that all reads may take together."""

SKEW: Final = timedelta(seconds=30)
"""A clock that is further off is a problem."""


async def examine(
    client: CoachingClient | None = None, *, environ: Mapping[str, str] = os.environ, needs: Iterable[str] | str = ()
) -> Examination:
    """Look at a client, or, where none is given, at the one that `environ` configures.

    `needs` names the operations that the program calls ("appointments.list"): one that the token may not call is a problem
    then. A client that is given stays open. It takes some 14 requests, and less than a minute where a host is silent.
    Proxies and certificates are those of the process.

    Permission: none. What fails is told in the checks; raises `ValueError` for a name that is no operation, and
    `ClientMisuse` where the client is closed or belongs to another event loop.
    """
    needed = frozenset((needs,) if isinstance(needs, str) else needs)  # a lone one is one, as everywhere
    if unknown := sorted(needed.difference(OPERATIONS)):
        raise ValueError(f"{unknown[0]!r} is no operation: choose from {', '.join(OPERATIONS)}")
    if client is not None:
        view = client.with_options(timeout=DEADLINE, retry=ONE_RETRY)
        return _examination(proxies(None), *await _service(view, needed))
    patient = configured(environ)
    if isinstance(patient, Check):
        return _examination(patient, proxies(None), _not_asked("the environment does not tell how"))
    try:
        checks = await _service(patient, needed)
    finally:
        await patient.aclose()
    return _examination(environment(environ, patient), proxies(patient), *checks)


def _examination(*checks: Check) -> Examination:
    return Examination(tuple({check.name: check for check in checks}.values()))  # what was found later counts


def _not_asked(because: str) -> Check:
    return Check("service", "not known", f"not asked any further, because {because}")


async def _service(client: CoachingClient, needed: frozenset[str]) -> list[Check]:
    """All that takes asking."""
    before = client.stats()
    try:
        await client.warmup()
    except ClientMisuse:
        raise
    except CoachingError as error:
        return [
            _unreached(error, client, has_logged_in=client.stats().requests > before.requests),
            _not_asked("of that"),
        ]
    first = await _asked(client, TOKEN)
    if isinstance(first.answer, CoachingError) and not isinstance(first.answer, ResponseError):
        return [_unreached(first.answer, client, has_logged_in=True), _not_asked("of that")]
    credentials = _credentials(first.answer, client)
    if credentials.state == "problem":
        return [_connection([]), credentials, _not_asked("the token is refused")]
    asked = {TOKEN: first}

    async def ask(question: str) -> None:
        asked[question] = await _asked(client, question)

    with anyio.move_on_after(PATIENCE):
        await client.bulk(ask, [*READS, ROLES, LIMITS])
    answers = {question: each.answer for question, each in asked.items()}
    throttled = client.stats().throttled - before.throttled
    return [
        _connection(answers.values()),
        credentials,
        _clock(asked.values()),
        _limit(answers.get(LIMITS), throttled),
        *_operations(answers, needed),
    ]


@attrs.frozen
class _Asked:
    """An answer, and when it was asked for and came."""

    answer: Answer
    sent_at: datetime
    came_at: datetime


async def _asked(client: CoachingClient, question: str) -> _Asked:
    sent_at = datetime.now(UTC)
    answer: Answer
    try:
        answer = await (READS[question](client) if question in READS else _got(client, question))
    except ClientMisuse:
        raise
    except CoachingError as error:
        answer = error
    return _Asked(answer, sent_at, datetime.now(UTC))


async def _got(client: CoachingClient, path: str) -> RawResponse[Any]:
    # A look at the token is not to keep it from ending when it is idle.
    return await client.request("GET", path, query={"preserveIdleTTL": True} if path == TOKEN else None)


def _unreached(error: CoachingError, client: CoachingClient, *, has_logged_in: bool) -> Check:
    if isinstance(error, ConfigurationError):
        return Check("proxy", "problem", str(error), "Correct or unset it.")
    if isinstance(error, AuthError) and error.status is not None:
        return Check("credentials", "problem", str(error), _about_refusal(error.status))
    host = "the API host" if has_logged_in else "the login host"
    if isinstance(client, ConfiguredClient):
        host += f" {client.api_host if has_logged_in else client.login_host}"
    is_certificate = isinstance(error, TransportError) and isinstance(
        getattr(error.__cause__, "__cause__", None), ssl.SSLError
    )
    advice = (
        "A proxy that opens the traffic has a certificate of its own: let SSL_CERT_FILE name it. Check the clock, too."
        if is_certificate
        else "Check the region, the name resolution, the proxy and the firewall of this machine."
    )
    return Check("connection", "problem", f"{host}: {error}", advice)


def _connection(answers: Iterable[Answer]) -> Check:
    failed = [str(each) for each in answers if isinstance(each, CoachingError) and not _is_sane(each)]
    if not failed:
        return Check("connection", "ok", "the hosts answer")
    sentence = f"{len(failed)} of the reads got no sane answer; {failed[0]}"
    return Check(
        "connection", "problem", sentence, "Try again; if it stays so, the network or the service is out of order."
    )


def _is_sane(error: CoachingError) -> bool:
    """Whether the API itself has answered: its errors have a code, and those of a gateway or a sign-in to a network do not."""
    if isinstance(error, RateLimited):
        return True
    return isinstance(error, ResponseError) and error.code is not None and not isinstance(error, ServerError)


def _about_refusal(status: int) -> str:
    if status == 429:
        return "Wait a minute. Many programs fetch tokens: share one client, and with it one token."
    if status >= 500:
        return "The login host is out of order: try again later."
    return (
        "Check id and secret, and that the OAuth client is one of this region, with the grant type Client Credentials, "
        "and not disabled: Admin, Integrations, OAuth."
    )


def _credentials(answer: Answer, client: CoachingClient) -> Check:
    if isinstance(answer, Unauthorized):
        advice = "The token has expired, or is one of another region: get a new one."
        return Check("credentials", "problem", str(answer), advice)
    if isinstance(answer, CoachingError) and not _is_sane(answer):
        return Check("credentials", "not known", f"there is a token, and whether it is accepted is not told: {answer}")
    life = client.token_life if isinstance(client, ConfiguredClient) else None
    return Check("credentials", "ok", f"the token is accepted{f'; it lives {_span(life)}' if life else ''}")


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"


def _clock(asked: Iterable[_Asked]) -> Check:
    for each in asked:
        said = _date(each.answer)
        if said is not None:
            # The service's second may have begun anywhere in it, and its answer anywhere between the two.
            off = said + timedelta(seconds=0.5) - (each.sent_at + (each.came_at - each.sent_at) / 2)
            seconds = abs(round(off.total_seconds()))
            if abs(off) <= SKEW:
                return Check("clock", "ok", f"it is within {max(seconds, 1)} s of the service's")
            sentence = f"it is {seconds} s {'behind' if off > timedelta(0) else 'ahead of'} the service's"
            return Check(
                "clock", "problem", sentence, "Let it be set by NTP: certificates, and what is asked by time, go by it."
            )
    return Check("clock", "not known", "no answer tells the time")


def _date(answer: Answer) -> datetime | None:
    try:
        said = parsedate_to_datetime(answer.headers["date"]) if isinstance(answer, RawResponse) else None
    except (KeyError, OverflowError, ValueError):
        return None
    return said if said is None or said.tzinfo else said.replace(tzinfo=UTC)


def _limit(answer: Answer | None, throttled: int) -> Check:
    if throttled:
        sentence = f"{throttled} of the answers were 429, though little was asked"
        advice = (
            "Something else uses this token, or the org allows less: share a client, or give it a lower rate_limit."
        )
        return Check("rate limit", "problem", sentence, advice)
    ours = RateLimit()
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


def _operations(answers: Mapping[str, Answer], needed: frozenset[str]) -> list[Check]:
    roles = answers.get(ROLES)
    grants = granted_permissions(roles.json) if isinstance(roles, RawResponse) else None
    is_user = is_a_users(answers.get(MINE))
    found = [check_operation(each, answers.get(each), grants, is_user=is_user) for each in OPERATIONS]
    return [_judged(check, is_needed=check.name in needed) for check in found]


def _judged(check: Check, *, is_needed: bool) -> Check:
    if check.state == "not allowed" and is_needed:
        return attrs.evolve(check, state="problem")
    return attrs.evolve(check, advice=None)
