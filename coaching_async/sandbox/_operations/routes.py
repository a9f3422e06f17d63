"""The operations of all families, by path and method."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import unquote

from starlette.routing import compile_path

from coaching_async.sandbox._wire import errors

from . import aggregates, annotations, appointments, channels, notifications, platform, schedule_slots, teams, users
from .request_context import Operation, Routes

T = TypeVar("T")

CONTRACT: Routes = {
    **appointments.ROUTES,
    **aggregates.ROUTES,
    **annotations.ROUTES,
    **notifications.ROUTES,
    **channels.ROUTES,
    **schedule_slots.ROUTES,
    **users.ROUTES,
    **teams.ROUTES,
}
"""The operations of the contract, except for the token endpoint."""

_OTHERS: Routes = {**platform.ROUTES, **users.SEARCH_LINKS}
_ROUTES = [
    (compile_path(path)[0], {**CONTRACT.get(path, {}), **_OTHERS.get(path, {})}) for path in {**CONTRACT, **_OTHERS}
]


def find_operation(method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
    """Return the operation, and the ids in the path. The path is still encoded, so that `a%2Fb` is one id."""
    for pattern, methods in _ROUTES:
        if match := pattern.fullmatch(raw_path):
            operation = select_method(methods, method)
            return operation, {name: unquote(segment) for name, segment in match.groupdict().items()}
    raise errors.path_not_found()


def select_method(methods: Mapping[str, T], method: str) -> T:
    if (operation := methods.get(method)) is None:
        raise errors.method_not_allowed(methods)
    return operation
