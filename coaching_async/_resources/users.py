"""Users: the operations below `/api/v2/users`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from coaching_async._bulk.runner import bulk
from coaching_async._exceptions import NotFound
from coaching_async._pagination.listing import Consistency, Listing
from coaching_async._refusals.suggestions import choices
from coaching_async.models.coercion import IdLike, IdsLike, OneOrMany, to_ids
from coaching_async.models.common import Page
from coaching_async.models.users import User, UserState, UserStateLike

from .base import Resource, build_listing
from .filters import split_ids
from .found_users import Batch, BatchReader, FoundUsers, collect_users
from .user_search import UserSearch, explain_limit

__all__ = ["ListedStateLike", "Users"]


ListedStateLike: TypeAlias = UserStateLike | Literal["any"]


LISTED_STATES: Final = (*UserState, "any")


class Users(Resource):
    """Users: who the ids of attendees, facilitators and creators belong to.

    Besides the errors named at each method, every method may raise `TransportError`, `DeadlineExceeded`, `AuthError`,
    `Unauthorized`, `RateLimited`, `ServerError` and `DecodeError`.
    """

    __slots__ = ()

    async def get(self, user_id: IdLike) -> User:
        """Return one user, whatever the `state`. For a user who was deleted, a second request is sent.

            user = await client.users.get(user_id)
            print(user.name, user.email)

        HTTP: GET /api/v2/users/{userId}
        Permission: none
        Raises: `NotFound`.
        """
        try:
            return await self._api.get(User, "users.get", "users", user_id)
        except NotFound:
            pass
        return await self._api.get(User, "users.get", "users", user_id, filters={"state": UserState.DELETED})

    async def me(self) -> User:
        """Return the user of the token.

            me = await client.users.me()
            print(me.id, me.name)

        HTTP: GET /api/v2/users/me
        Permission: none, but a user's token
        Raises: `BadRequest` with code `not.a.user` with a token of client credentials.
        """
        return await self._api.get(User, "users.me", "users", "me")

    async def get_many(self, ids: IdsLike) -> FoundUsers:
        """Return the users with these ids, whatever their `state`: a mapping by id, whose `missing` has the ids that match no user.

            users = await client.users.get_many(user_ids)
            print([user.email for user in users.values()])

        One request takes up to 100 ids. The requests are concurrent, and paced like those of a bulk.

        HTTP: GET /api/v2/users
        Permission: none
        Raises: `ValueError` for invalid ids, before anything is sent; `BadRequest`, `Forbidden`. The `partial` of an error has
        the users that were found.
        """
        asked = tuple(dict.fromkeys(to_ids(ids)))
        batches = [part["id"] for part in split_ids(id=asked)] if asked else []
        for batch in batches:
            self._listing(batch)  # invalid ids are refused before anything is sent
        read = BatchReader(self._read_batch).read
        return collect_users(asked, await bulk(read, batches, None, None, default_concurrency=self._api.concurrency))

    async def _read_batch(self, ids: Sequence[str]) -> Batch:
        walk = self._listing(ids).walk()
        return Batch([user async for user in walk], walk.report.left_out)

    def _listing(self, ids: Sequence[str]) -> Listing[User]:
        # Without a state the service answers active users only, and without a page size 25 of them.
        chunk = {"id": tuple(ids), "state": "any"}
        return build_listing(self._api, Page[User], "users.get_many", "users", page_size=len(ids), chunks=(chunk,))

    async def names(self, ids: IdsLike) -> Mapping[str, str]:
        """Return the name of each user, by id. Where there is no name, the id itself stands for it.

            names = await client.users.names(user_ids)
            print(names[user_id])

        Names are kept for 10 minutes, up to 10,000 of them, for the token that they were read with.

        HTTP: GET /api/v2/users
        Permission: none
        Raises: what `get_many` raises.
        """
        asked = to_ids(ids)

        async def read(unknown: Sequence[str]) -> Mapping[str, str]:
            return {id_: user.name for id_, user in (await self.get_many(unknown)).items() if user.name}

        found = await self._api.names.get_many(asked, read)
        return {id_: found[id_] for id_ in asked}

    def list(
        self,
        *,
        state: ListedStateLike = UserState.ACTIVE,
        page_size: int = 100,
        cursor: str | None = None,
        consistency: Consistency = "default",
    ) -> Listing[User]:
        """Return all users of a state: "active", "inactive", "deleted", or "any".

            async for user in client.users.list(state="any"):
                print(user.id, user.name)

        `page_size`, `cursor` and `consistency` as in `appointments.list`. The service lists up to 10,000 users that are not
        active. Beyond them the iteration raises `BadRequest`, whose `partial` or `cursor` goes on with what was read.

        HTTP: GET /api/v2/users
        Permission: none
        Raises: `ValueError` now for invalid arguments; `BadRequest` when iterated.
        """
        if state not in LISTED_STATES:
            raise ValueError(f"{str(state)!r} is no state of users: {choices(state, LISTED_STATES)}")
        return build_listing(
            self._api,
            Page[User],
            "users.list",
            "users",
            page_size=page_size,
            chunks=({"state": state},),
            explain=explain_limit,
            cursor=cursor,
            consistency=consistency,
        )

    def search(
        self,
        *,
        email: str | None = None,
        name: str | None = None,
        states: OneOrMany[UserStateLike] = (UserState.ACTIVE, UserState.INACTIVE),
        page_size: int = 100,
    ) -> Listing[User]:
        """Return the users with this e-mail address, in any case, or with all words of `name` in their name, or with both.

            found = client.users.search(email="ada@example.com")
            user = await found.first()

        The service searches an index, which may lag behind by minutes, and returns up to 10,000 users. Beyond them the iteration
        raises `BadRequest`. A page may have fewer users than `page_size`, which is at most 100.

        HTTP: POST /api/v2/users/search
        Permission: directory:user:view
        Raises: `ValueError` now for invalid arguments; `BadRequest`, `Forbidden` when iterated.
        """
        return UserSearch(email, name, states).listing(self._api, page_size)
