"""The requests that a fault applies to: those of an operation, of a template such as `/appointments/{appointmentId}`, or others."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, Protocol, TypeAlias

import attrs

from coaching_async.sandbox._wire.arguments import require_text
from coaching_async.sandbox._wire.references import (
    APPOINTMENTS,
    AVAILABLE_TOPICS,
    CHANNELS,
    GROUPS,
    JOBS,
    NOTIFICATIONS,
    SLOTS,
    TEAMS,
    USERS,
)

Operation: TypeAlias = Literal[
    "annotations.create",
    "annotations.delete",
    "annotations.get",
    "annotations.list",
    "annotations.update",
    "appointments.add_conversation",
    "appointments.aggregate",
    "appointments.create",
    "appointments.delete",
    "appointments.get",
    "appointments.list",
    "appointments.list_mine",
    "appointments.list_statuses",
    "appointments.set_status",
    "appointments.update",
    "notifications.get",
    "notifications.list",
    "notifications.mark_read",
    "schedule_slots.get_job",
    "schedule_slots.query",
    "schedule_slots.start_job",
    "teams.list",
    "teams.list_members",
    "topics.available",
    "topics.channels",
    "topics.create_channel",
    "topics.subscribe",
    "users.get",
    "users.list",
    "users.me",
    "users.search",
]
"""Name of a method of the client that sends one kind of request."""

_ONE = f"{APPOINTMENTS}/{{appointmentId}}"
_ANNOTATION = f"{_ONE}/annotations/{{annotationId}}"
_SUBSCRIPTIONS = f"{CHANNELS}/{{channelId}}/subscriptions"

OPERATIONS: Mapping[Operation, tuple[str, str]] = {
    "annotations.create": ("POST", f"{_ONE}/annotations"),
    "annotations.delete": ("DELETE", _ANNOTATION),
    "annotations.get": ("GET", _ANNOTATION),
    "annotations.list": ("GET", f"{_ONE}/annotations"),
    "annotations.update": ("PATCH", _ANNOTATION),
    "appointments.add_conversation": ("POST", f"{_ONE}/conversations"),
    "appointments.aggregate": ("POST", f"{APPOINTMENTS}/aggregates/query"),
    "appointments.create": ("POST", APPOINTMENTS),
    "appointments.delete": ("DELETE", _ONE),
    "appointments.get": ("GET", _ONE),
    "appointments.list": ("GET", APPOINTMENTS),
    "appointments.list_mine": ("GET", f"{APPOINTMENTS}/me"),
    "appointments.list_statuses": ("GET", f"{_ONE}/statuses"),
    "appointments.set_status": ("PATCH", f"{_ONE}/status"),
    "appointments.update": ("PATCH", _ONE),
    "notifications.get": ("GET", f"{NOTIFICATIONS}/{{notificationId}}"),
    "notifications.list": ("GET", NOTIFICATIONS),
    "notifications.mark_read": ("PATCH", f"{NOTIFICATIONS}/{{notificationId}}"),
    "schedule_slots.get_job": ("GET", f"{JOBS}/{{jobId}}"),
    "schedule_slots.query": ("POST", f"{SLOTS}/query"),
    "schedule_slots.start_job": ("POST", JOBS),
    "teams.list": ("GET", TEAMS),
    "teams.list_members": ("GET", f"{TEAMS}/{{teamId}}/members"),
    "topics.available": ("GET", AVAILABLE_TOPICS),
    "topics.channels": ("GET", CHANNELS),
    "topics.create_channel": ("POST", CHANNELS),
    "topics.subscribe": ("PUT", _SUBSCRIPTIONS),
    "users.get": ("GET", f"{USERS}/{{userId}}"),
    "users.list": ("GET", USERS),
    "users.me": ("GET", f"{USERS}/me"),
    "users.search": ("POST", f"{USERS}/search"),
}
"""Method and path of each operation."""

OTHERS = (
    ("POST", "/oauth/token"),
    ("GET", "/channels/{channelId}"),
    ("HEAD", f"{CHANNELS}/{{channelId}}"),
    ("GET", _SUBSCRIPTIONS),
    ("POST", _SUBSCRIPTIONS),
    ("DELETE", _SUBSCRIPTIONS),
    ("GET", f"{GROUPS}/{{groupId}}/members"),
    ("POST", f"{TEAMS}/search"),
    ("GET", f"{USERS}/search"),
    ("GET", "/api/v2/tokens/me"),
    ("GET", "/api/v2/authorization/subjects/me"),
)
"""Methods and paths of the requests that no method of the client sends alone."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

_PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")
_PLAIN = re.compile(r"[\w/.%~-]+")
_UNESCAPED_QUERY = re.compile(r"[\w/]\?[\w.]+=")


def _patterns() -> dict[str, re.Pattern[str]]:
    """Return the pattern of each path, `/appointments/me` before `/appointments/{appointmentId}`, which matches it, too."""
    paths = {path for _, path in (*OPERATIONS.values(), *OTHERS)}
    ordered = sorted(paths, key=lambda path: path.replace("{", "~"))
    return {path: re.compile(_PLACEHOLDER.sub("[^/]+", path)) for path in ordered}


_PATTERNS = _patterns()
_COLLECTIONS = {word for path in _PATTERNS for word in re.findall(r"([a-z]+)/\{", path)}
"""Words that an id follows."""
_WORDS = {word for path in _PATTERNS for word in path.split("/") if word and not _PLACEHOLDER.fullmatch(word)}


class Target(Protocol):
    """The requests that a fault applies to."""

    def matches(self, path: str, query: str) -> bool: ...


@attrs.frozen
class Route:
    """The requests of some paths of the sandbox: the path that each has in the contract → what it has to match."""

    patterns: Mapping[str, re.Pattern[str]]

    def matches(self, path: str, query: str) -> bool:  # noqa: ARG002 # of the protocol
        found = next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(path)), "")
        pattern = self.patterns.get(found)
        return pattern is not None and pattern.fullmatch(path) is not None


@attrs.frozen
class Expression:
    """The requests whose path, or path and query, contains a match."""

    pattern: re.Pattern[str]

    def matches(self, path: str, query: str) -> bool:
        return any(self.pattern.search(target) for target in (path, f"{path}?{query}"))


def method_and_path(operation: str) -> tuple[str, str]:
    """Return the method and the path of an operation. Raise `ValueError` for an unknown one."""
    for name, found in OPERATIONS.items():
        if name == operation:
            return found
    near = did_you_mean(operation, OPERATIONS)
    raise ValueError(f"there is no operation {operation!r}{near or ': OPERATIONS has all of them'}")


def checked_method(method: str) -> str:
    """Return a method in upper case. Raise `ValueError` for an unknown one."""
    require_text(method=method)
    if method.upper() not in METHODS:
        near = did_you_mean(method.upper(), METHODS)
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}{near}")
    return method.upper()


def target_of(path: str, method: str | None) -> Target:
    """Return the requests of a path: a template, or a regular expression. Raise `ValueError` if none can have it."""
    if "://" in path or any(character.isspace() for character in path):
        raise ValueError(f"path must be the path of a request, without a host and blanks, not {path!r}")
    if _PLACEHOLDER.search(path):
        return _route_of_template(path, method)
    if _UNESCAPED_QUERY.search(path):
        raise ValueError(f"path is a regular expression, in which the ? before a query is written \\?: {path!r}")
    try:
        pattern = re.compile(path)
    except re.error as error:
        raise ValueError(f"path must be a regular expression: {error}") from error
    _refuse_misspelled(path)
    return Expression(pattern)


def _route_of_template(path: str, method: str | None) -> Route:
    given = path.removeprefix("^").removesuffix("$").removeprefix("/").split("/")
    patterns = {known: re.compile(pattern) for known in _PATTERNS if (pattern := _aligned(given, known))}
    if not patterns:
        ends = ("/" + "/".join(known.split("/")[-len(given) :]) for known in _PATTERNS)
        raise ValueError(f"no path of the sandbox is or ends with {path!r}{did_you_mean(path, ends)}")
    methods = {each: known for each, known in (*OPERATIONS.values(), *OTHERS) if known in patterns}
    if method is not None and method not in methods:
        raise ValueError(f"the sandbox has no {method} {path}; it has {', '.join(sorted(methods))}")
    return Route(patterns)


def _aligned(given: Sequence[str], known: str) -> str | None:
    """Return the expression of requests of a known path that ends with the given segments; None if it does not."""
    segments = known.split("/")[1:]
    if len(given) > len(segments) or not all(_PLACEHOLDER.fullmatch(each) or _PLAIN.fullmatch(each) for each in given):
        return None
    head, tail = segments[: -len(given)], segments[-len(given) :]
    if not all(_PLACEHOLDER.fullmatch(end) or own == end for own, end in zip(given, tail, strict=True)):
        return None
    return "".join("/" + ("[^/]+" if _PLACEHOLDER.fullmatch(each) else re.escape(each)) for each in (*head, *given))


def _refuse_misspelled(path: str) -> None:
    """Raise `ValueError` for a plain path with a word that is almost one of the sandbox's paths, and no id."""
    plain = path.removeprefix("^").removesuffix("$")
    words = plain.split("/") if _PLAIN.fullmatch(plain) else []
    for before, word in zip(["", *words], words, strict=False):
        is_known = before in _COLLECTIONS or any(word in known for known in _WORDS)
        if not is_known and (near := get_close_matches(word, _WORDS, 1, 0.8)):
            meant = plain.replace(word, near[0])
            raise ValueError(f"no path of the sandbox contains {path!r}; did you mean {meant}?")


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return the end of an error about a misspelled word: the name that is nearest, or nothing."""
    known: Collection[str] = tuple(dict.fromkeys(names))
    near = get_close_matches(word, known, 1) if isinstance(word, str) else ()  # pyright: ignore[reportUnnecessaryIsInstance]
    return f"; did you mean {near[0]}?" if near else ""
