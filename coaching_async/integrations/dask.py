"""Dask: an export in shards of time, on the workers of a cluster.

with distributed.Client(address) as dask:
    export_shards(dask, user_ids, "/shared/coaching", intervals=Interval.parse("2026-01/2026-12").months())
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, Unpack, cast
from uuid import UUID, uuid4

import anyio
import attrs

from coaching_async import AccessToken, AppointmentFilters, CoachingClient, Interval
from coaching_async._refusals.arguments import checked_count, checked_path, checked_several, kind_of
from coaching_async.export import ExportBusy, Exported, Form, check_form, export

from ._clients import check_factory, made_by
from ._extras import extra

with extra("dask"):
    import cloudpickle  # type: ignore[import-untyped]
    from distributed import Client, Future

__all__ = ["ExportOptions", "export_shards", "submit_shards"]

OpensClient: TypeAlias = Callable[[], AbstractAsyncContextManager[CoachingClient]]
"""Returns a client, or what opens and closes one."""

BUSY_PAUSE: Final = 1.0
"""Seconds between two attempts to begin a shard that another task is at work on."""


class ExportOptions(AppointmentFilters, total=False):
    """The options of `export` that shards may have, and the filters but `interval` and `interval_condition`."""

    spreadsheet: bool | None
    columns: Iterable[str] | None
    names: bool
    emails: bool
    tz: tzinfo | None
    with_annotations: bool
    with_statuses: bool
    consistency: Literal["default", "verify"]
    page_size: int


OF_THE_FORM: Final = {"spreadsheet", "columns", "names", "emails", "with_annotations", "with_statuses", "tz"}

OF_THE_LIST: Final = {*AppointmentFilters.__optional_keys__, "consistency", "page_size"}


def export_shards(
    dask: Client,
    user_ids: Iterable[str | UUID] | str | UUID,
    folder: str | os.PathLike[str],
    *,
    intervals: Iterable[Interval],
    client: OpensClient = CoachingClient.from_env,
    form: Form = "jsonl",
    retries: int = 3,
    **options: Unpack[ExportOptions],
) -> list[Exported]:
    """Export the appointments of users in shards, on the workers of a cluster, and return the result of each, in order.

    Each of `intervals` is a shard, which is one task of Dask and one file: the appointments that start in it. `Interval.split`
    and `Interval.months` cut a long one. Cut by time and never by users, because an appointment belongs to several people, and
    shards of users would read and write it once for each of them.

    `folder` is one that all workers see, on a file system with locks. The names of the files are the times of their shards,
    20261101T000000Z-20261201T000000Z.jsonl for example, with the suffix of `form`. A shard is an `export` with `resume="auto"`.
    So a call that failed, or lost its workers or its cluster, can be made again: complete shards request nothing, and others
    continue after their last page. A shard that another task is at work on waits for that one.

    `client` is called on the worker, once for each shard, and returns a `CoachingClient`, or an async context manager that
    yields one. It is sent to the workers, and secrets are not, so it reads the credentials where it is called. Shards have one
    token and one rate limit only if it gives them a `shared_state`. Without it each shard has its own, which does not make the
    service faster: one process reads as much as one OAuth client may request.

    The first error of a shard ends the call, after `retries` further attempts at the shard. Then, and after Ctrl-C, shards that
    have not begun are not started. Those at work continue on their workers, because Dask cannot stop them.

    `options` are those of `export`, and the filters. For all users of an org give `relationships="Attendee"`.

    Needs the extra `dask`. An asynchronous client of Dask cannot wait here: use `submit_shards`.
    Raises: what `export` raises; `TypeError` or `ValueError` for invalid arguments, of intervals that overlap for example;
    exceptions of Dask, such as `KilledWorker`.
    """
    if isinstance(dask, Client) and dask.asynchronous:  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(
            "an asynchronous client of Dask cannot wait in export_shards: await dask.gather(submit_shards(...))"
        )
    futures = submit_shards(
        dask, user_ids, folder, intervals=intervals, client=client, form=form, retries=retries, **options
    )
    cluster: Any = dask  # some of its methods have no types
    try:
        return cast("list[Exported]", cluster.gather(futures))
    except BaseException:
        cluster.cancel(futures)
        raise


def submit_shards(
    dask: Client,
    user_ids: Iterable[str | UUID] | str | UUID,
    folder: str | os.PathLike[str],
    *,
    intervals: Iterable[Interval],
    client: OpensClient = CoachingClient.from_env,
    form: Form = "jsonl",
    retries: int = 3,
    **options: Unpack[ExportOptions],
) -> "list[Future[Exported]]":
    """Submit what `export_shards` waits for, and return a future of Dask for each shard.

    With an asynchronous client: `await dask.gather(submit_shards(...))`.

    Raises: `TypeError` or `ValueError` for invalid arguments.
    """
    if not isinstance(dask, Client):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped callers
        raise TypeError(f"a distributed.Client is needed, not {kind_of(dask)}")
    check_factory("client", client)
    _check_sendable(client)
    checked_count("retries", retries, at_least=0)
    cluster: Any = dask  # some of its methods have no types
    shards = _shards(user_ids, folder, intervals, client, form, options)
    # A new key for each call, although a shard is the same one again: a key that is used twice may get the error, or the
    # cancellation, of its first use. The lock of its file sees to it that one task at a time is at work on a shard.
    return [
        cluster.submit(_export_shard, shard, key=f"export_shard-{shard.path.stem}-{uuid4().hex}", retries=retries)
        for shard in shards
    ]


def _check_sendable(client: OpensClient) -> None:
    """Raise `TypeError` unless it can be sent to workers. Dask's own error names neither the function nor what is wrong with it."""
    pickler: Any = cloudpickle  # has no types
    try:
        pickler.dumps(client)
    except Exception as error:
        raise TypeError(
            "client cannot be sent to the workers: give a function that reads credentials, and opens files, when a worker calls it, "
            f"such as CoachingClient.from_env ({error})"
        ) from error


@attrs.frozen
class Shard:
    """One export. Its repr, which Dask logs, has no ids."""

    path: Path
    interval: Interval
    user_ids: Any = attrs.field(repr=False)
    form: Form
    options: dict[str, Any] = attrs.field(repr=False)
    client: OpensClient = attrs.field(repr=False)

    async def export(self) -> Exported:
        """Export the shard, as soon as no other task is at work on it."""
        while True:
            try:
                return await self._export()
            except ExportBusy:
                await anyio.sleep(BUSY_PAUSE)

    async def _export(self) -> Exported:
        async with made_by("client", self.client) as client:
            return await export(
                client,
                self.user_ids,
                self.path,
                form=self.form,
                resume="auto",
                interval=self.interval,
                interval_condition="StartsIn",
                **self.options,
            )


def _export_shard(shard: Shard) -> Exported:
    """Run in a thread of a worker, which has no event loop."""
    return anyio.run(shard.export)


def _shards(
    user_ids: Any, folder: Any, intervals: Iterable[Interval], client: OpensClient, form: Form, options: ExportOptions
) -> list[Shard]:
    """Return the shards. Raises `TypeError` or `ValueError` for invalid arguments."""
    given: dict[str, Any] = {name: _lasting(value) for name, value in options.items()}
    if chosen := given.keys() & {"interval", "interval_condition"}:
        raise TypeError(f"the shards have their {' and '.join(sorted(chosen))} from intervals")
    if unknown := given.keys() - ExportOptions.__optional_keys__:
        raise TypeError(f"no such option of an export: {', '.join(sorted(unknown))}")
    users, place = _lasting(user_ids), Path(checked_path("folder", folder)).absolute()
    check_form(place, form=form, **{name: given[name] for name in OF_THE_FORM & given.keys()})
    nobody = CoachingClient(AccessToken("unused"))  # which is never opened: its list checks users and filters
    nobody.appointments.list(users, **{name: given[name] for name in OF_THE_LIST & given.keys()})
    return [
        Shard(place / f"{_name_of(interval)}.{form}", interval, users, form, given, client)
        for interval in _disjoint(intervals)
    ]


def _disjoint(intervals: Iterable[Interval]) -> Sequence[Interval]:
    """Return the intervals. Raises `ValueError` if there are none, or if two of them overlap."""
    found = checked_several("intervals", intervals, Interval)
    if not found:
        raise ValueError("intervals is empty: an export has one shard or more")
    in_order = sorted(found, key=_start)
    for one, following in pairwise(in_order):
        if _start(following) < one.end.astimezone(UTC):
            raise ValueError(f"two intervals overlap, and an appointment would be in both shards: {one}, {following}")
    return found


def _start(interval: Interval) -> datetime:
    return interval.start.astimezone(UTC)


def _name_of(interval: Interval) -> str:
    """Return the times of an interval in the basic format of ISO 8601, because a file name may have no colon."""
    return "-".join(_basic(moment.astimezone(UTC)) for moment in (interval.start, interval.end))


def _basic(moment: datetime) -> str:
    text = moment.replace(tzinfo=None).isoformat(timespec="milliseconds").removesuffix(".000")
    return f"{text.replace('-', '').replace(':', '')}Z"


def _lasting(value: Any) -> Any:
    """Return a tuple in place of an iterator, which can be read once only, and by one process."""
    if isinstance(value, str | UUID | Sequence | frozenset | set) or not isinstance(value, Iterable):
        return value  # pyright: ignore[reportUnknownVariableType]
    return tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
