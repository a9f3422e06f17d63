"""A double of the service that lists appointments, filtered by user and sorted by start."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.support.doubles import answer

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
USERS = [f"11111111-1111-4111-8111-{number:012}" for number in range(250)]


class Appointments:
    """Serves an appointment for each tuple of indexes of its users in `USERS`."""

    def __init__(self, *users_of: tuple[int, ...]) -> None:
        self.appointments = [
            {"id": f"a{number}", "dateStart": (START + timedelta(hours=number)).isoformat(), "users": users}
            for number, users in enumerate(users_of)
        ]
        self.queries: list[httpx.QueryParams] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.queries.append(query)
        wanted = set(query.get_list("userIds")) if "/me" not in request.url.path else set(USERS)
        found = [item for item in self.appointments if wanted & {USERS[number] for number in item["users"]}]
        if query.get("sortOrder") == "Desc":
            found.reverse()
        number, size = int(query["pageNumber"]), int(query["pageSize"])
        entities = [{"id": item["id"], "dateStart": item["dateStart"]} for item in found[(number - 1) * size :][:size]]
        return answer(
            {
                "entities": entities,
                "pageNumber": number,
                "pageSize": size,
                "pageCount": -(-len(found) // size),
                "total": len(found),
            }
        )
