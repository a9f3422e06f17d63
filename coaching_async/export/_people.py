"""Names and e-mail addresses of the users in an export, requested for each page, and each user once."""

from collections.abc import Collection
from itertools import islice
from typing import Final

import attrs

from coaching_async import CoachingClient

__all__ = ["People"]

CHECKED: Final = 100
"""Users that are looked up before the first page: as many as one request takes."""


@attrs.define(eq=False)
class People:
    """The names and addresses that were found. Both are None if they are not wanted."""

    names: dict[str, str] | None = None
    emails: dict[str, str] | None = None
    _known: set[str] = attrs.field(factory=set, init=False)

    async def check(self, client: CoachingClient, ids: Collection[str]) -> None:
        """Look up some users, because an export that cannot request names fails before its first page."""
        await self.look_up(client, set(islice(ids, CHECKED)))

    async def look_up(self, client: CoachingClient, ids: Collection[str]) -> None:
        """Request what is not known yet of users. A user that is gone, or has no address, has none then."""
        new = {id_ for id_ in ids if id_ not in self._known and _is_id(id_)}
        if not new:
            return
        if self.emails is not None:
            users = await client.users.get_many(new)
            self.emails |= {id_: user.email for id_, user in users.items() if user.email}
            if self.names is not None:
                self.names |= {id_: user.name for id_, user in users.items() if user.name}
        elif self.names is not None:
            self.names |= await client.users.names(new)
        self._known |= new


def _is_id(text: str) -> bool:
    """Return whether a request may name it: the id of a reference may be any text, and those of users are in ASCII."""
    is_plain = text.isascii() and text.isprintable() and text == text.strip() and "," not in text
    return is_plain and text not in {"", ".", ".."}
