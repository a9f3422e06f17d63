"""Users by their ids: many ids in few requests, and which ids match no user."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from coaching_async._bulk.results import BulkResult
from coaching_async._exceptions import BadRequest, CoachingError, NotFound
from coaching_async._serialization.rows import LeftOutRow
from coaching_async._value import Value, summary
from coaching_async.models.coercion import FrozenDict
from coaching_async.models.users import User

__all__ = ["Batch", "BatchReader", "FoundUsers", "collect_users"]

TOO_MANY_IDS: Final = "max.user.ids"
"""The error code for more ids than a request may have."""

MAX_REFUSED: Final = 10
"""Single ids that may be refused before any request succeeds."""


@attrs.frozen(eq=False, repr=False)
class FoundUsers(Value, Mapping[str, User]):
    """The users that ids belong to, by id, in the order of the ids.

    Keys are the ids as they were given. Users who were deleted are in it, too, with that `state`.
    """

    _users: Mapping[str, User] = attrs.field(converter=FrozenDict)
    missing: tuple[str, ...] = ()
    """The ids that match no user."""
    left_out: tuple[LeftOutRow, ...] = ()
    """Users that the service sent and that cannot be read. Their ids are not `missing`."""

    def __repr__(self) -> str:
        return summary(self, f"{len(self)} users", missing=len(self.missing), left_out=len(self.left_out))

    def __getitem__(self, id_: str) -> User:
        user: User = self._users[id_]
        return user

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def __len__(self) -> int:
        return len(self._users)


@attrs.frozen(eq=False, repr=False)
class Batch:
    """The answer to one request for many ids."""

    users: Sequence[User] = ()
    left_out: Sequence[LeftOutRow] = ()
    refusals: Sequence[BadRequest] = ()
    """The errors for single ids that the service refused."""


ReadBatch: TypeAlias = Callable[[Sequence[str]], Awaitable[Batch]]


@attrs.define(eq=False, repr=False)
class BatchReader:
    """Reads batches. It halves a batch that the service refuses, down to the single ids that it refuses.

    A single id that is refused matches no user. If `MAX_REFUSED` ids were refused and no request has succeeded, the ids are not
    the cause. Then the error is raised, because halving every batch would take hours.
    """

    _read: ReadBatch
    _refused: int = 0
    _has_succeeded: bool = False

    async def read(self, ids: Sequence[str]) -> Batch:
        """Return what the service has for the ids."""
        try:
            batch = await self._read(ids)
        except (BadRequest, NotFound) as error:
            refusal = error
        else:
            self._has_succeeded = True
            return batch
        if not self._has_succeeded and self._refused >= MAX_REFUSED:
            raise refusal
        if len(ids) > 1:
            middle = len(ids) // 2
            first, second = await self.read(ids[:middle]), await self.read(ids[middle:])
            return Batch(
                (*first.users, *second.users),
                (*first.left_out, *second.left_out),
                (*first.refusals, *second.refusals),
            )
        if refusal.code == TOO_MANY_IDS:
            raise refusal
        self._refused += 1
        return Batch(refusals=(refusal,) if isinstance(refusal, BadRequest) else ())


def collect_users(ids: Sequence[str], batches: BulkResult[Sequence[str], Batch]) -> FoundUsers:
    """Return the users of all batches.

    Raises the first error, which has the users as its `partial`. If the service refused every single id, that is an error, too,
    because then the ids are not what is wrong.
    """
    read = [outcome.result() for outcome in batches.outcomes if outcome.is_ok]
    users = [user for batch in read for user in batch.users]
    errors: list[CoachingError] = [outcome.error for outcome in batches.outcomes if outcome.error is not None]
    refusals = [refusal for batch in read for refusal in batch.refusals]
    if len(refusals) == len(ids):
        errors += refusals[:1]
    found = _select(ids, users, [row for batch in read for row in batch.left_out])
    if errors:
        errors[0].partial = tuple(found.values())
        raise errors[0]
    return found


def _select(ids: Iterable[str], users: Iterable[User], left_out: Iterable[LeftOutRow]) -> FoundUsers:
    """Return the users with these ids. Ids are compared without regard to case, because those of the service are UUIDs."""
    by_id = {user.id.lower(): user for user in users}
    unreadable = {row.id.lower(): row for row in left_out if row.id is not None}
    asked = dict.fromkeys(ids)
    return FoundUsers(
        {id_: by_id[id_.lower()] for id_ in asked if id_.lower() in by_id},
        tuple(id_ for id_ in asked if id_.lower() not in by_id and id_.lower() not in unreadable),
        tuple({row.id: row for id_ in asked if (row := unreadable.get(id_.lower())) is not None}.values()),
    )
