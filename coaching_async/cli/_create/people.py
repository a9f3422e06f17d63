"""The people of a plan: ids and e-mail addresses, looked up before anything is created."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from coaching_async import AppointmentCreate, CoachingClient, User, UserState

from .plan import Fault, Row

__all__ = ["People", "faults_of", "find_people", "to_body"]

STATES_REFUSED: Final = {UserState.INACTIVE: "is inactive", UserState.DELETED: "was deleted"}


@attrs.frozen
class People:
    """What was found for the entries of a plan."""

    ids: Mapping[str, str]
    """The id of a user, by entry."""
    problems: Mapping[str, str]
    """What is wrong with an entry that is not in `ids`."""


async def find_people(client: CoachingClient, rows: Iterable[Row]) -> People:
    """Look up every entry once: ids by the hundred, addresses one by one. Raises `CoachingError`."""
    entries = dict.fromkeys(entry for row in rows for of_column in row.people.values() for entry in of_column)
    addresses = [entry for entry in entries if "@" in entry]
    given_ids = [entry for entry in entries if "@" not in entry]

    async def search(address: str) -> Sequence[User]:
        return [user async for user in client.users.search(email=address)]

    found: dict[str, Sequence[User]] = {}
    if given_ids:
        users = await client.users.get_many(given_ids)
        found |= {id_: [users[id_]] if id_ in users else [] for id_ in given_ids}
    searched = await client.bulk(search, addresses)
    found |= {outcome.item: outcome.result() for outcome in searched.outcomes}
    ids: dict[str, str] = {}
    problems: dict[str, str] = {}
    for entry, matches in found.items():
        if problem := _problem(entry, matches):
            problems[entry] = problem
        else:
            ids[entry] = matches[0].id
    return People(ids, problems)


def _problem(entry: str, matches: Sequence[User]) -> str | None:
    what = "address" if "@" in entry else "id"
    if not matches:
        return f"no user has this {what}"
    if len(matches) > 1:
        return f"{len(matches)} users have this address: name one by id"
    refused = STATES_REFUSED.get(matches[0].state) if isinstance(matches[0].state, UserState) else None
    return refused and f"the user with this {what} {refused}"


def faults_of(rows: Iterable[Row], people: People) -> Iterator[Fault]:
    """Yield what is wrong with the people of rows, without naming them."""
    for row in rows:
        for column, entries in row.people.items():
            for number, entry in enumerate(entries, start=1):
                if entry in people.problems:
                    yield Fault(row.line, f"{column}, entry {number}: {people.problems[entry]}")


def to_body(row: Row, people: People) -> AppointmentCreate:
    """Return the body of a row without faults."""
    ids = people.ids
    fields: dict[str, Any] = dict(row.fields)
    fields["attendee_ids"] = tuple(dict.fromkeys(ids[entry] for entry in row.people["attendees"]))
    for entry in row.people.get("facilitator", ()):
        fields["facilitator_id"] = ids[entry]
    return AppointmentCreate(**fields)
