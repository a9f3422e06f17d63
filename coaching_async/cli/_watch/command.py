"""The command `coaching-async watch`: its options, and what it reports."""

import logging
import math
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import anyio
import attrs
import click

from coaching_async import BadRequest, CoachingClient, Gap, NotificationStream, NotificationWatch, TopicStream
from coaching_async.cli._failures import fail, reported, say
from coaching_async.cli._shared_state import Shared, shared_state_option

from .cursor_file import CursorFile
from .lines import FORMS, HEADER, Form, Item, line_of
from .status import StatusReporter

__all__ = ["watch_"]

NO_USER: Final = "not.a.user"
"""The code of an error about the list of a token that belongs to no user."""


@click.command(
    name="watch", epilog="For example: coaching-async watch --unread --cursor-file seen.txt >> notifications.jsonl"
)
@click.option(
    "--user-id",
    "user_ids",
    multiple=True,
    help="A user whose notifications to write; repeat it for more. [default: yours]",
)
@click.option("--unread", is_flag=True, help="Begin with those that are not marked as read.")
@click.option("--all", "from_start", is_flag=True, help="Begin with all that are in the list.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that keeps what was written. If it exists, go on after that.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Read the list that often, in place of a WebSocket.",
)
@click.option("--topic", "topics", multiple=True, help="Write the events of this topic instead; repeat it for more.")
@click.option("--format", "form", type=click.Choice(FORMS), help="[default: table on a terminal, else jsonl]")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N lines.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=math.inf,
    metavar="SECONDS",
    help="End after that time.",
)
@shared_state_option
def watch_(
    user_ids: tuple[str, ...],
    topics: tuple[str, ...],
    cursor_file: Path | None,
    poll: float | None,
    form: Form | None,
    count: int | None,
    seconds: float,
    shared: Shared,
    *,
    unread: bool,
    from_start: bool,
) -> None:
    """Write your notifications as they happen, a line each, until Ctrl-C.

    Environment variables name the org, as for export; GENESYSCLOUD_ACCESS_TOKEN has the token of the user. Each notification
    is written once. What came while the connection was down is found afterwards. For those of other users, and for topics,
    it is missing, and that is said.

    Standard error tells when the connection is live, lost, and live again. Exit code 0 after --count or --for, 2 if it fails,
    130 after Ctrl-C, and 143 after SIGTERM.
    """
    _check_options(user_ids, topics, cursor_file, poll, unread=unread, from_start=from_start)
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # changes are told on standard error
    status = StatusReporter(say, polls=poll is not None)
    start = "unread" if unread else "all" if from_start else "new"
    with reported(file=cursor_file):
        cursors = None if cursor_file is None else CursorFile(cursor_file)
        cursor = None if cursors is None else cursors.read()
        begin: Any = {"cursor": cursor} if cursor is not None else {"start": start}
        client = CoachingClient.from_env(on_event=status.on_event, shared_state=shared.state)
        source: NotificationWatch | NotificationStream | TopicStream
        if topics:
            source = client.topics.subscribe(*topics)
        elif poll is not None:
            source = client.notifications.watch(every=poll, **begin)
            say(f"reading the list every {poll:g} s")
        else:
            source = client.notifications.listen(user_ids or None, on_gap=status.on_gap, **begin)
        writer = Writer(form or ("table" if sys.stdout.isatty() else "jsonl"), cursors, count)
        try:
            anyio.run(_run, shared, client, source, writer, seconds)
        except BadRequest as error:
            if error.code != NO_USER:
                raise
            fail("the token belongs to no user, so there is no list: name users with --user-id, without --poll")


def _check_options(
    user_ids: tuple[str, ...],
    topics: tuple[str, ...],
    cursor_file: Path | None,
    poll: float | None,
    *,
    unread: bool,
    from_start: bool,
) -> None:
    if unread and from_start:
        raise click.UsageError("--unread and --all contradict each other: give one of them")
    if user_ids and topics:
        raise click.UsageError("--user-id and --topic contradict each other: give one of them")
    if (user_ids or topics) and (unread or from_start or cursor_file or poll is not None):
        raise click.UsageError(
            "--unread, --all, --cursor-file and --poll are about your own notifications: leave out --user-id and --topic"
        )
    if cursor_file is not None and not cursor_file.parent.is_dir():
        raise click.UsageError("--cursor-file is in a folder that does not exist")


@attrs.define
class Writer:
    """Writes items to standard output, and the cursor to its file after each."""

    form: Form
    cursor_file: CursorFile | None
    count: int | None
    written: int = 0

    async def write_all(self, items: AsyncIterator[Item], cursor: Callable[[], str | None]) -> None:
        """Write items until there are enough."""
        if self.form == "table":
            click.echo(HEADER)
        try:
            async with anyio.create_task_group() as tasks:
                if self.cursor_file is not None:
                    tasks.start_soon(self.cursor_file.write_first, cursor)
                await self._write(items, cursor)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:  # anyio raises every error of a task group in one
            error = group.exceptions[0]
        else:
            return
        raise error

    async def _write(self, items: AsyncIterator[Item], cursor: Callable[[], str | None]) -> None:
        async for item in items:
            click.echo(line_of(item, self.form))
            if self.cursor_file is not None:
                self.cursor_file.write(cursor())
            self.written += not isinstance(item, Gap)
            if self.written == self.count:
                return


async def _run(
    shared: Shared,
    client: CoachingClient,
    source: NotificationWatch | NotificationStream | TopicStream,
    writer: Writer,
    seconds: float,
) -> None:
    async with shared.opened(client):
        with anyio.move_on_after(seconds):
            match source:
                case NotificationWatch():
                    await writer.write_all(source, lambda: source.cursor)
                case NotificationStream():
                    async with source:
                        await writer.write_all(source, lambda: source.cursor)
                case TopicStream():
                    async with source:
                        await writer.write_all(source, lambda: None)
