"""Ids of users: from files, from standard input, and by e-mail address or team."""

import codecs
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from coaching_async import CoachingClient

__all__ = ["find_user_ids", "read_user_ids"]

STANDARD_INPUT: Final = "-"

ENCODING_BY_MARK: Final = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

COMMENT: Final = re.compile(r"(?:^|\s)#.*")

ID: Final = re.compile(r"""[^\s,;"']+""")


def read_user_ids(files: Iterable[str]) -> list[str]:
    """Return the ids in files, each of them once. Blanks around an id, empty lines and comments after a # do not count.

    Raises `ValueError` for a line that is no id, or a file without ids, and `OSError`.
    """
    return list(dict.fromkeys(id_ for file in files for id_ in _ids_in(file)))


def _ids_in(file: str) -> list[str]:
    name = "standard input" if file == STANDARD_INPUT else file
    found: list[str] = []
    for number, line in enumerate(_text(file, name).splitlines(), start=1):
        # Marks and invisible characters count as blanks.
        id_ = COMMENT.sub("", "".join(character if character.isprintable() else " " for character in line)).strip()
        if id_ and not ID.fullmatch(id_):
            raise ValueError(f"{name}, line {number}: {id_[:80]!a} is no id; write one id a line")
        found += [id_] if id_ else []
    if not found:
        raise ValueError(f"{name} contains no ids, so there is nothing to export")
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


async def find_user_ids(client: CoachingClient, emails: Sequence[str], teams: Sequence[str]) -> list[str]:
    """Return the ids of the users with these e-mail addresses, and of the members of teams, each of them once.

    A team is an id, or a name. Case does not matter. Raises `ValueError` for an address or a team that nobody has, or that
    several have; a message tells an address by its place, because it is personal data.
    """
    found = [await _user_with(client, email, place) for place, email in enumerate(emails, start=1)]
    for team in teams:
        found += await _members_of(client, team)
    return list(dict.fromkeys(found))


async def _user_with(client: CoachingClient, email: str, place: int) -> str:
    if "@" not in email:
        raise ValueError(f"--user-email, value {place}, is no e-mail address")
    wanted = email.strip().casefold()
    users = [user async for user in client.users.search(email=email.strip()) if (user.email or "").casefold() == wanted]
    if len({user.id for user in users}) != 1:
        raise ValueError(
            f"--user-email, value {place}: {len(users) or 'no'} users have that address; give the id of the one with --user-id"
        )
    return users[0].id


async def _members_of(client: CoachingClient, team: str) -> list[str]:
    team_id = team.strip() if _is_id(team) else await _team_named(client, team.strip())
    members = [member.id async for member in client.teams.list_members(team_id)]
    if not members:
        raise ValueError(f"--team {team}: the team has no members")
    return members


async def _team_named(client: CoachingClient, name: str) -> str:
    if not name:
        raise ValueError("--team is empty: give the name or the id of a team")
    similar = {team.id: team.name or "" async for team in client.teams.list(name=name)}
    found = [id_ for id_, each in similar.items() if each.casefold() == name.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"--team {name}: {len(found)} teams have that name; give the id of the one")
    begin = f"; names that begin with it: {len(similar)}" if similar else ""
    raise ValueError(f"--team {name}: no team has that name{begin}")


def _is_id(text: str) -> bool:
    try:
        UUID(text.strip())
    except ValueError:
        return False
    return True
