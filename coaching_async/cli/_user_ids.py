"""The options that name users: by id, in files of ids, by e-mail address, and by team."""

import codecs
import functools
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import attrs
import click

from coaching_async import CoachingClient, User

from ._failures import counted

__all__ = ["SelectedUsers", "is_email", "is_id", "problem_of", "search_emails", "users_options", "without_invisible"]

STANDARD_INPUT: Final = "-"

ENCODING_BY_MARK: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

COMMENT: Final = re.compile(r"(?:^|\s)#.*")

ID: Final = re.compile(r"""[^\s,;"']+""")

EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+")

MAX_EMAIL: Final = 254
"""Characters of the longest e-mail address (RFC 5321)."""


@attrs.frozen
class SelectedUsers:
    """The users that the options name."""

    given_ids: Sequence[str]
    id_files: Sequence[str]
    emails: Sequence[str]
    teams: Sequence[str]

    def read_ids(self) -> list[str]:
        """Return the ids that were given, and those in files. Raises `ValueError` for what is no file of ids."""
        return [*self.given_ids, *_read_user_ids(self.id_files)]

    async def find_ids(self, client: CoachingClient) -> list[str]:
        """Return the ids of the users that are named by address or team, each of them once. Case does not matter.

        Raises `ValueError` for an address or a team that nobody has, or that several have; a message tells an address by
        its place.
        """
        return await _find_user_ids(client, self.emails, self.teams)


def users_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name users to a command, which gets them as `users`. One of them is required."""

    @click.option("--user-id", "given_ids", multiple=True, help="Id of a user; repeat it for more users.")
    @click.option(
        "--user-ids",
        "--user-ids-file",
        "id_files",
        multiple=True,
        metavar="FILE",
        help="File with the ids of users, one a line; - is standard input.",
    )
    @click.option(
        "--user-email", "user_emails", multiple=True, help="E-mail address of a user; repeat it for more users."
    )
    @click.option(
        "--team",
        "teams",
        multiple=True,
        metavar="NAME",
        help="Members of the team with this name or id; repeat it for more.",
    )
    @functools.wraps(command)
    def with_users(
        given_ids: tuple[str, ...],
        id_files: tuple[str, ...],
        user_emails: tuple[str, ...],
        teams: tuple[str, ...],
        **options: Any,
    ) -> None:
        if not (given_ids or id_files or user_emails or teams):
            raise click.UsageError(
                "name users with --user-id, --user-email or --team, or a file of ids with --user-ids"
            )
        command(users=SelectedUsers(given_ids, id_files, user_emails, teams), **options)

    return with_users


def without_invisible(text: str) -> str:
    """Return a text with a blank in place of each character that is not printable, such as a byte order mark."""
    return "".join(character if character.isprintable() else " " for character in text)


def _read_user_ids(files: Iterable[str]) -> list[str]:
    """Return the ids in files, each of them once. Blanks around an id, empty lines and comments after a # do not count.

    Raises `ValueError` for a line that is no id, or a file without ids, and `OSError`.
    """
    return list(dict.fromkeys(id_ for file in files for id_ in _ids_in(file)))


def _ids_in(file: str) -> list[str]:
    name = "standard input" if file == STANDARD_INPUT else file
    found: list[str] = []
    for number, line in enumerate(_text(file, name).splitlines(), start=1):
        id_ = COMMENT.sub("", without_invisible(line)).strip()
        if id_ and not ID.fullmatch(id_):
            raise ValueError(f"{name}, line {number}: {id_[:80]!a} is no id; write one id a line")
        found += [id_] if id_ else []
    if not found:
        raise ValueError(f"{name} contains no ids")
    return found


def _text(file: str, name: str) -> str:
    try:
        data = _standard_input() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror or error}") from None
    encoding = next((encoding for mark, encoding in ENCODING_BY_MARK.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not text in UTF-8") from None


def _standard_input() -> bytes:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] # it is closed
        raise OSError("it is closed")
    return sys.stdin.buffer.read()


def is_id(text: str) -> bool:
    """Return whether a text is an id of the platform, which are UUIDs."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def is_email(text: str) -> bool:
    """Return whether a text can be an e-mail address."""
    return len(text) <= MAX_EMAIL and EMAIL.fullmatch(text) is not None


async def search_emails(client: CoachingClient, emails: Sequence[str]) -> Mapping[str, Sequence[User]]:
    """Return the users who have each address, in any case, be they active or inactive. Raises `CoachingError`."""

    async def search(email: str) -> Sequence[User]:
        return list({user.id: user async for user in client.users.search(email=email)}.values())

    searched = await client.bulk(search, emails)
    return {outcome.item: outcome.result() for outcome in searched.outcomes}


def problem_of(users: Sequence[User], what: str) -> str | None:
    """Return why these users of an id or an address are not one user. Nothing is quoted, because it is personal data."""
    if len(users) == 1:
        return None
    return f"{len(users)} users have this {what}: name one by id" if users else f"no user has this {what}"


async def _find_user_ids(client: CoachingClient, emails: Sequence[str], teams: Sequence[str]) -> list[str]:
    found = await _users_with(client, [without_invisible(email).strip() for email in emails])
    for team in teams:
        found += await _members_of(client, team)
    return list(dict.fromkeys(found))


async def _users_with(client: CoachingClient, emails: Sequence[str]) -> list[str]:
    for place, email in enumerate(emails, start=1):
        if not is_email(email):
            raise ValueError(f"--user-email, value {place}: this is no e-mail address")
    searched = await search_emails(client, emails)
    for place, email in enumerate(emails, start=1):
        if problem := problem_of(searched[email], "address"):
            raise ValueError(f"--user-email, value {place}: {problem}")
    return [searched[email][0].id for email in emails]


async def _members_of(client: CoachingClient, team: str) -> list[str]:
    team_id = team.strip() if is_id(team.strip()) else await _team_named(client, team.strip())
    walk = aiter(client.teams.list_members(team_id))
    members = [member.id async for member in walk]
    members += [row.id for row in walk.report.left_out if row.id is not None]  # known, though the rest cannot be read
    if walk.report.rows_left_out > sum(row.id is not None for row in walk.report.left_out):
        raise ValueError(f"--team {team}: not all of its members can be read; give their ids with --user-id")
    if not members:
        raise ValueError(f"--team {team}: the team has no members")
    return members


async def _team_named(client: CoachingClient, name: str) -> str:
    if not name:
        raise ValueError("--team is empty: give the name or the id of a team")
    walk = aiter(client.teams.list(name=name))
    similar = {team.id: team.name or "" async for team in walk}
    found = [id_ for id_, each in similar.items() if each.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"--team {name}: {len(found)} teams have that name; give the id of the one")
    if left_out := walk.report.rows_left_out:
        raise ValueError(f"--team {name}: {counted(left_out, 'team')} cannot be read; give the id of the team")
    begin = f"; names that begin with it: {len(similar)}" if similar else ""
    raise ValueError(f"--team {name}: no team has that name{begin}")
