"""Asking the service what its documentation leaves open: a report with nothing in it that tells whose org it is."""

import platform
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, cast

import attrs

from coaching_async import CoachingClient, CoachingError, DecodeError, ResponseError, RetryPolicy

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
"""How many are sent at most, the one for a token included; a retry counts besides."""

UNCHANGED: Final = "cannot be told without changing something"

ID: Final = re.compile(r"[\w-]{1,100}", re.ASCII)
CODE: Final = re.compile(r"[a-z]{1,20}(?:[._][a-z]{1,20}){0,6}")
PERMISSION: Final = re.compile(r"[A-Za-z]{1,30}(?::[A-Za-z*]{1,40}){1,3}")
SCOPE: Final = re.compile(r"coaching(?::[a-z]{1,20})?")


@attrs.frozen
class Report:
    """What was found, as Markdown; incomplete where the service fell silent."""

    text: str
    is_complete: bool


@attrs.frozen
class _Seen:
    """As much of an answer as may be reported."""

    status: int
    code: str | None
    body: Mapping[str, object] = attrs.field(factory=dict[str, object])

    def __str__(self) -> str:
        return f"{self.status} {self.code}" if self.code else str(self.status)

    def number(self, name: str) -> int | None:
        value = self.body.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@attrs.define
class _Asker:
    """Sends GETs, counts them, and knows on which list to try things."""

    client: CoachingClient
    user_ids: tuple[str, ...]
    foreign_id: str | None
    is_user: bool = False
    asked: int = 0

    async def get(self, path: str, **query: str | int | bool | Iterable[str]) -> _Seen:
        """An answer of any status. Raises only what is no answer."""
        self.asked += 1
        try:
            answer = await self.client.request("GET", path, query=query)
        except ResponseError as error:
            code = error.code or ""
            return _Seen(error.status, code if CODE.fullmatch(code) else None)
        except DecodeError as error:
            return _Seen(error.status or 200, "and no JSON")
        body = answer.value
        return _Seen(answer.status, None, cast("Mapping[str, object]", body) if isinstance(body, dict) else {})

    async def page(self, **query: str | int) -> _Seen:
        """A page of the list that has most to tell."""
        if self.user_ids:
            return await self.get(APPOINTMENTS, userIds=self.user_ids, **query)
        if self.is_user:
            return await self.get(f"{APPOINTMENTS}/me", **query)
        return await self.get(APPOINTMENTS, userIds=_made_up(1), **query)

    @property
    def which(self) -> str:
        """That list."""
        if self.user_ids:
            return "appointments of users that were given"
        return "appointments of the token's user" if self.is_user else "appointments of a made-up user"


async def probe(
    client: CoachingClient, *, user_ids: Iterable[str] = (), foreign_appointment_id: str | None = None
) -> Report:
    """Ask what the documentation leaves open, by GETs alone, and report it to whom it concerns.

    `user_ids` are people whose appointments may be listed; without them, made-up ids and the token's own user have to do.
    `foreign_appointment_id` is one of a division that the token may not see. At most `REQUESTS` requests are sent, at the
    client's pace. The report names no id, no person and no host, and has no counts of the org's things.

    Permission: coaching:appointment:view, where there is to be much to tell. Raises `ValueError` for what is no id, and until the
    first answer what every method raises; later failures are in the report.
    """
    given = tuple(user_ids)
    if len(given) > MOST_USERS:
        raise ValueError(f"{MOST_USERS} users are enough")
    foreign = () if foreign_appointment_id is None else (foreign_appointment_id,)
    if not all(ID.fullmatch(each) for each in (*given, *foreign)):
        raise ValueError("an id has letters, digits and dashes only")
    view = client.with_options(timeout=30.0, retry=RetryPolicy(attempts=2))
    asker = _Asker(view, given, foreign_appointment_id)
    token = await asker.get(TOKEN, preserveIdleTTL=True)
    asker.is_user = (await asker.get(f"{APPOINTMENTS}/me", pageSize=1)).status == 200
    sections: list[str] = []
    lost: str | None = None
    for question, find in QUESTIONS.items():
        if isinstance(find, str):
            lines = [find]
        elif lost is not None:
            lines = [f"not asked, because the service fell silent before ({lost})"]
        else:
            try:
                lines = await find(asker)
            except CoachingError as error:
                lost = type(error).__name__
                lines = [f"no answer ({lost})"]
        sections.append("\n".join([f"## {question}", "", *(f"- {line}" for line in lines)]))
    return Report("\n\n".join([_head(asker, token), *sections]) + "\n", lost is None)


def _head(asker: _Asker, token: _Seen) -> str:
    scopes = _texts(token.body.get("authorizedScope"), SCOPE) or "none told"
    whose = "user" if asker.is_user else "client"
    return f"""\
# What the Coaching API does where its documentation is silent

Found by `coaching-async doctor --probe` on {datetime.now(UTC):%Y-%m-%d}, with Python {platform.python_version()}.
{asker.asked} requests were sent, each a GET, with the token of a {whose}; its coaching scopes: {scopes}.
Tried on the {asker.which}. No ids, names, hosts or counts of the org are in here."""


def _texts(values: object, pattern: re.Pattern[str]) -> str:
    """Those of a list that match, for nothing else is to be repeated here."""
    found = cast("list[object]", values) if isinstance(values, list) else []
    return ", ".join(each for each in found if isinstance(each, str) and pattern.fullmatch(each))


def _made_up(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


async def _page_size(asker: _Asker) -> list[str]:
    lines: list[str] = []
    for size in SIZES:
        seen = await asker.page(pageSize=size)
        told, came = seen.number("pageSize"), len(entities(seen.body))
        much = "none" if not came else "as many" if came == told else "fewer" if came < (told or came) else "more"
        lines.append(
            f"asked for {size}: {seen}{f'; told pageSize {told}, entities: {much}' if seen.status == 200 else ''}"
        )
    return lines


async def _user_ids(asker: _Asker) -> list[str]:
    lines: list[str] = []
    for count in COUNTS:
        seen = await asker.get(APPOINTMENTS, userIds=_made_up(count), pageSize=1)
        lines.append(f"{count} made-up {'id' if count == 1 else 'ids'}: {seen}")
        if seen.status != 200:
            lines.append("more were not asked for" if count > 1 else "so made-up ids tell nothing")
            break
    return lines


async def _beyond(asker: _Asker) -> list[str]:
    first = await asker.page(pageSize=25)
    count = first.number("pageCount")
    if count is None:
        return [f"the first page: {first}{', without a pageCount' if first.status == 200 else ''}"]
    lines: list[str] = ["the list is empty"] if not count else []
    for distance in (1, 1000):
        seen = await asker.page(pageSize=25, pageNumber=max(1, count) + distance)
        told = f", with {'some' if entities(seen.body) else 'no'} entities, {'a' if 'nextUri' in seen.body else 'no'} nextUri"
        lines.append(f"{distance} beyond the last page: {seen}{told if seen.status == 200 else ''}")
    return lines


async def _interval(asker: _Asker) -> list[str]:
    lines = [f"none given: {await asker.page(pageSize=1)}"]
    end = datetime.now(UTC)
    for days in SPANS:
        start = end - timedelta(days=days)
        asked = "/".join(f"{each:%Y-%m-%dT%H:%M:%S}.000Z" for each in (start, end))
        lines.append(f"{days} days: {await asker.page(pageSize=1, interval=asked)}")
    return lines


async def _division(asker: _Asker) -> list[str]:
    made_up = await asker.get(f"{APPOINTMENTS}/{_made_up(1)[0]}")
    lines = [f"an id of nothing: {made_up}"]
    if asker.foreign_id is None:
        return [*lines, "no other was asked for, because no id of a foreign appointment was given"]
    foreign = await asker.get(f"{APPOINTMENTS}/{asker.foreign_id}")
    return [*lines, f"an id of another division: {foreign}"]


async def _topic(asker: _Asker) -> list[str]:
    seen = await asker.get(TOPICS, expand=("requiresPermissions",))
    topic = next((each for each in entities(seen.body) if each.get("id") == TOPIC), None)
    if topic is None:
        return [f"the topics: {seen}{', and it is not among them' if seen.status == 200 else ''}"]
    needed = _texts(topic.get("requiresPermissions"), PERMISSION)
    flags = [f"{flag}: {str(topic[flag]).lower()}" for flag in FLAGS if isinstance(topic.get(flag), bool)]
    return [f"requires {needed or 'no permission that is told'}", *flags]


_Find: TypeAlias = Callable[[_Asker], Awaitable[list[str]]]

QUESTIONS: Final[Mapping[str, _Find | str]] = {
    "maximum pageSize": _page_size,
    "maximum number of userIds": _user_ids,
    "page beyond the end": _beyond,
    "whether interval has to be given, and its longest span": _interval,
    "403 or 404 for an appointment of another division": _division,
    "permission for the topic of a user's coaching notifications": _topic,
    "scope needed for POST queries": "not asked, because only GETs are sent; the token's scopes are above",
    "size of the login rate limit": "not asked, because who reaches it keeps others from logging in",
    "when 202 is chosen": UNCHANGED,
    "code of a 409": UNCHANGED,
    "null to clear a field": UNCHANGED,
}
