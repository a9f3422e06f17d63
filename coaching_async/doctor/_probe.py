"""Probe of the service for what its documentation does not say, with an anonymous report."""

import platform
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, cast

import attrs

from coaching_async import CoachingClient, CoachingError, DecodeError, ResponseError, RetryPolicy
from coaching_async._refusals.arguments import checked_instance, several_ids

from ._examine import TOKEN
from ._operations import entities

__all__ = ["REQUESTS", "Report", "probe"]

APPOINTMENTS: Final = "/api/v2/coaching/appointments"
TOPICS: Final = "/api/v2/notifications/availabletopics"
TOPIC: Final = "v2.users.{id}.wem.coaching.notification"
FLAGS: Final = ("requiresCurrentUser", "requiresCurrentUserOrPermission", "requiresDivisionPermissions", "enforced")

SIZES: Final = (100, 200, 500, 1000)
COUNTS: Final = (1, 50, 100, 200, 400)
MOST_USERS: Final = 50
SPANS: Final = (31, 366, 3660)
"""Days."""

REQUESTS: Final = 3 + len(SIZES) + len(COUNTS) + 3 + (1 + len(SPANS)) + 2 + 1
"""The largest number of requests, the one for a token included, retries excluded."""

UNCHANGED: Final = "cannot be told without changing something"

ID: Final = re.compile(r"[\w-]{1,100}", re.ASCII)
CODE: Final = re.compile(r"[a-z]{1,20}(?:[._][a-z]{1,20}){0,6}")
PERMISSION: Final = re.compile(r"[A-Za-z]{1,30}(?::[A-Za-z*]{1,40}){1,3}")
SCOPE: Final = re.compile(r"coaching(?::[a-z]{1,20})?")


@attrs.frozen
class Report:
    """Report of the requests that were made."""

    text: str
    """The report, in Markdown."""
    is_complete: bool
    """Whether all requests were made. False if the service has stopped responding."""


@attrs.frozen
class _Response:
    """The parts of a response that may be reported."""

    status: int
    code: str | None
    body: Mapping[str, object] = attrs.field(factory=dict[str, object])

    def __str__(self) -> str:
        return f"{self.status} {self.code}" if self.code else str(self.status)

    def number(self, name: str) -> int | None:
        value = self.body.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@attrs.define
class _Prober:
    """Sends GET requests, counts them, and chooses the list that is used for the questions about lists."""

    client: CoachingClient
    user_ids: tuple[str, ...]
    foreign_id: str | None
    is_user: bool = False
    request_count: int = 0

    async def get(self, path: str, **query: str | int | bool | Iterable[str]) -> _Response:
        """Send a GET request; return its response, whatever the status. Raises if there is no response."""
        self.request_count += 1
        try:
            answer = await self.client.request("GET", path, query=query)
        except ResponseError as error:
            code = error.code or ""
            return _Response(error.status, code if CODE.fullmatch(code) else None)
        except DecodeError as error:
            return _Response(error.status or 200, "and no JSON")
        body = answer.value
        return _Response(answer.status, None, cast("Mapping[str, object]", body) if isinstance(body, dict) else {})

    async def page(self, **query: str | int) -> _Response:
        """Return a page of the given users' list, else of the token's user, else of an unknown user."""
        if self.user_ids:
            return await self.get(APPOINTMENTS, userIds=self.user_ids, **query)
        if self.is_user:
            return await self.get(f"{APPOINTMENTS}/me", **query)
        return await self.get(APPOINTMENTS, userIds=_random_ids(1), **query)

    @property
    def list_description(self) -> str:
        """Description of that list."""
        if self.user_ids:
            return "appointments of users that were given"
        return "appointments of the token's user" if self.is_user else "appointments of a made-up user"


async def probe(
    client: CoachingClient,
    *,
    user_ids: Iterable[str | uuid.UUID] | str | uuid.UUID = (),
    foreign_appointment_id: str | uuid.UUID | None = None,
) -> Report:
    """Find out what the API's documentation does not say, by GET requests only, and report it.

    `user_ids` are users whose appointments may be listed. Without them the token's own user is taken, or an unknown one.
    `foreign_appointment_id` is an appointment of a division that the token has no access to. Up to `REQUESTS` requests are
    sent, under the client's rate limit. The report contains no ids, names or hosts, and no counts of the org's data.

    Permission: coaching:appointment:view, without which most questions stay open
    Raises: `TypeError` for what is no client or no id, `ValueError` for an invalid id; before the first response what every method
    raises. Later failures are reported.
    """
    given = tuple(map(str, several_ids(user_ids)))
    if len(given) > MOST_USERS:
        raise ValueError(f"{MOST_USERS} users are enough")
    foreign = () if foreign_appointment_id is None else (str(foreign_appointment_id),)
    if not all(ID.fullmatch(id_) for id_ in (*given, *foreign)):
        raise ValueError("an id has letters, digits and dashes only")
    view = checked_instance("client", client, CoachingClient).with_options(timeout=30.0, retry=RetryPolicy(attempts=2))
    prober = _Prober(view, given, next(iter(foreign), None))
    token = await prober.get(TOKEN, preserveIdleTTL=True)
    prober.is_user = (await prober.get(f"{APPOINTMENTS}/me", pageSize=1)).status == 200
    sections: list[str] = []
    failure: str | None = None
    for question, ask in QUESTIONS.items():
        if isinstance(ask, str):
            lines = [ask]
        elif failure is not None:
            lines = [f"not asked, because the service fell silent before ({failure})"]
        else:
            try:
                lines = await ask(prober)
            except CoachingError as error:
                failure = type(error).__name__
                lines = [f"no answer ({failure})"]
        sections.append("\n".join([f"## {question}", "", *(f"- {line}" for line in lines)]))
    return Report("\n\n".join([_head(prober, token), *sections]) + "\n", failure is None)


def _head(prober: _Prober, token: _Response) -> str:
    scopes = _matching(token.body.get("authorizedScope"), SCOPE) or "none told"
    whose = "user" if prober.is_user else "client"
    return f"""\
# What the Coaching API does where its documentation is silent

Found by `coaching-async doctor --probe` on {datetime.now(UTC):%Y-%m-%d}, with Python {platform.python_version()}.
{prober.request_count} requests were sent, each a GET, with the token of a {whose}; its coaching scopes: {scopes}.
Tried on the {prober.list_description}. No ids, names, hosts or counts of the org are in here."""


def _matching(values: object, pattern: re.Pattern[str]) -> str:
    """Return the texts of a list that match, because other texts may identify the org."""
    found = cast("list[object]", values) if isinstance(values, list) else []
    return ", ".join(text for text in found if isinstance(text, str) and pattern.fullmatch(text))


def _random_ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


async def _page_size(prober: _Prober) -> list[str]:
    lines: list[str] = []
    for size in SIZES:
        response = await prober.page(pageSize=size)
        told, came = response.number("pageSize"), len(entities(response.body))
        much = "none" if not came else "as many" if came == told else "fewer" if came < (told or came) else "more"
        lines.append(
            f"asked for {size}: {response}{f'; told pageSize {told}, entities: {much}' if response.status == 200 else ''}"
        )
    return lines


async def _user_ids(prober: _Prober) -> list[str]:
    lines: list[str] = []
    for count in COUNTS:
        response = await prober.get(APPOINTMENTS, userIds=_random_ids(count), pageSize=1)
        lines.append(f"{count} made-up {'id' if count == 1 else 'ids'}: {response}")
        if response.status != 200:
            lines.append("more were not asked for" if count > 1 else "so made-up ids tell nothing")
            break
    return lines


async def _page_beyond_end(prober: _Prober) -> list[str]:
    first = await prober.page(pageSize=25)
    count = first.number("pageCount")
    if count is None:
        return [f"the first page: {first}{', without a pageCount' if first.status == 200 else ''}"]
    lines: list[str] = ["the list is empty"] if not count else []
    for distance in (1, 1000):
        response = await prober.page(pageSize=25, pageNumber=max(1, count) + distance)
        told = f", with {'some' if entities(response.body) else 'no'} entities, {'a' if 'nextUri' in response.body else 'no'} nextUri"
        lines.append(f"{distance} beyond the last page: {response}{told if response.status == 200 else ''}")
    return lines


async def _interval(prober: _Prober) -> list[str]:
    lines = [f"none given: {await prober.page(pageSize=1)}"]
    end = datetime.now(UTC)
    for days in SPANS:
        start = end - timedelta(days=days)
        interval = "/".join(f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in (start, end))
        lines.append(f"{days} days: {await prober.page(pageSize=1, interval=interval)}")
    return lines


async def _division(prober: _Prober) -> list[str]:
    made_up = await prober.get(f"{APPOINTMENTS}/{_random_ids(1)[0]}")
    lines = [f"an id of nothing: {made_up}"]
    if prober.foreign_id is None:
        return [*lines, "no other was asked for, because no id of a foreign appointment was given"]
    foreign = await prober.get(f"{APPOINTMENTS}/{prober.foreign_id}")
    return [*lines, f"an id of another division: {foreign}"]


async def _topic_permission(prober: _Prober) -> list[str]:
    response = await prober.get(TOPICS, expand=("requiresPermissions",))
    topic = next((entity for entity in entities(response.body) if entity.get("id") == TOPIC), None)
    if topic is None:
        return [f"the topics: {response}{', and it is not among them' if response.status == 200 else ''}"]
    needed = _matching(topic.get("requiresPermissions"), PERMISSION)
    flags = [f"{flag}: {str(topic[flag]).lower()}" for flag in FLAGS if isinstance(topic.get(flag), bool)]
    return [f"requires {needed or 'no permission that is told'}", *flags]


_Question: TypeAlias = Callable[[_Prober], Awaitable[list[str]]]

QUESTIONS: Final[Mapping[str, _Question | str]] = {
    "maximum pageSize": _page_size,
    "maximum number of userIds": _user_ids,
    "page beyond the end": _page_beyond_end,
    "whether interval has to be given, and its longest span": _interval,
    "403 or 404 for an appointment of another division": _division,
    "permission for the topic of a user's coaching notifications": _topic_permission,
    "scope needed for POST queries": "not asked, because only GETs are sent; the token's scopes are above",
    "size of the login rate limit": "not asked, because reaching it would keep other programs from logging in",
    "when 202 is chosen": UNCHANGED,
    "code of a 409": UNCHANGED,
    "null to clear a field": UNCHANGED,
}
