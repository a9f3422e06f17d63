"""The data of the sandbox for its own page, without a token: people, appointments and notifications."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs
from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._state.appointment import STATUSES, related_users, start_of
from coaching_async.sandbox._state.state import State
from coaching_async.sandbox._wire import query as read
from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.paging import PageRequest, envelope
from coaching_async.sandbox._wire.responses import JsonResponse
from coaching_async.sandbox._wire.validation import Fields, is_string, parse_body, read_fields

from .control import Endpoint

T = TypeVar("T")

MAX_SIZE = 100


@attrs.frozen
class Data:
    """Lists what the state holds, a page at a time."""

    state: State

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        return {
            "/_sandbox/people": {"GET": self.list_people},
            "/_sandbox/appointments": {"GET": self.list_appointments},
            "/_sandbox/notifications": {"GET": self.list_notifications, "POST": self.notify},
        }

    async def list_people(self, _: Request) -> Response:
        team_of = {
            user_id: team["name"]
            for team_id, team in list(self.state.teams.items())
            for user_id in self.state.members.get(team_id, ())
        }
        fields = ("id", "name", "email", "title", "state")
        users = list(self.state.users.items())
        return JsonResponse(
            [
                {name: user[name] for name in fields if name in user} | {"team": team_of.get(user_id)}
                for user_id, user in users
            ]
        )

    async def list_appointments(self, request: Request) -> Response:
        """Respond with a page by date; without a page number, with the one of the next appointment."""
        user_id = request.query_params.get("userId")
        statuses = read.choices(request.query_params, "status", STATUSES)
        found = self.state.appointments_where(
            lambda each: not user_id or user_id in related_users(each),
            lambda each: not statuses or each["status"] in statuses,
        )
        now = self.state.clock()
        past = sum(start_of(each) < now for each in found)
        return _page(request, found, self.state.shown, next_index=min(past, len(found) - 1))

    async def list_notifications(self, request: Request) -> Response:
        """Respond with a page, the newest notification first."""
        user_id = request.query_params.get("userId")
        rows = list(self.state.notifications_of(user_id) if user_id else self.state.notifications.values())
        return _page(request, rows[::-1], lambda row: row)

    async def notify(self, request: Request) -> Response:
        """Make a notification of a user."""
        given = read_fields(parse_body(await request.body()), _NOTIFICATION, required=("user_id",))
        self.state.user(given["user_id"])
        row = self.state.notify(given["user_id"], given.get("action", "Update"), given.get("appointment_id"))
        return JsonResponse(row, 201)


_NOTIFICATION: Fields = {"user_id": is_string, "action": is_string, "appointment_id": is_string}


def _page(request: Request, rows: Sequence[T], show: Callable[[T], JsonObject], next_index: int = 0) -> Response:
    size = min(read.positive_integer(request.query_params, "pageSize", 10), MAX_SIZE)
    number = read.positive_integer(request.query_params, "pageNumber", max(0, next_index) // size + 1)
    page = PageRequest(number, size)
    return JsonResponse(envelope([show(row) for row in page.slice_of(rows)], page, len(rows)))
