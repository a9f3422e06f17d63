"""The people of a plan: ids and e-mail addresses, looked up before anything is created."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from coaching_async import AppointmentCreate, CoachingClient, User, UserState
from coaching_async.cli._user_ids import is_email, is_id, problem_of, search_emails

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
    given_ids, addresses = list(filter(is_id, entries)), list(filter(is_email, entries))
    users = await client.users.get_many(given_ids)
    found: dict[str, Sequence[User]] = {id_: (user,) for id_, user in users.items()}
    found |= await search_emails(client, addresses)
    unreadable = {row.id.lower() for row in users.left_out if row.id is not None}
    ids: dict[str, str] = {}
    problems: dict[str, str] = {}
    for entry in entries:
        matches = found.get(entry, ())
        if entry.lower() in unreadable:
            ids[entry] = entry  # the service has this user, though its answer cannot be read
        elif problem := _problem(entry, matches):
            problems[entry] = problem
        else:
            ids[entry] = matches[0].id
    return People(ids, problems)


def _problem(entry: str, matches: Sequence[User]) -> str | None:
    if not (is_id(entry) or is_email(entry)):
        return "this is neither an id nor an e-mail address"
    what = "id" if is_id(entry) else "address"
    if problem := problem_of(matches, what):
        return problem
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
