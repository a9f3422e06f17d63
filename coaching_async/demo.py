"""The client's main job on real sockets: a whole export from a sandbox that is stingier than the client expects."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import anyio
import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coaching_async import Appointment, ClientCredentials, CoachingClient, Stats, from_dict, to_dict
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

__all__ = ["run"]

APPOINTMENTS: Final = 5000
USERS: Final = 40


@attrs.define
class Tally:
    """What the export has done."""

    items: int = 0
    pages: int = 0
    seconds: float = 0.0


def run(out: Path, console: Console) -> bool:
    """Export everything to `out` and compare it with the sandbox's own truth: True if nothing is lost or doubled."""
    # The client paces for 300 requests a minute, which a burst of 50 pages does not reach; this service allows less.
    with Sandbox(appointments=APPOINTMENTS, users=USERS, rate_limit=15, rate_window=2.0, token_life=3) as sandbox:
        console.print(f"sandbox at {sandbox.base_url}: {APPOINTMENTS} appointments of {USERS} users")
        with replaced_at_the_end(out) as file:
            tally, stats = anyio.run(export, sandbox, file, console)
        console.print(closing_table(tally, stats))
        lost, doubled, altered = compared(out, sandbox)
    console.print(f"{out}: {lost} lost, {doubled} doubled, {altered} altered")
    return not (lost or doubled or altered)


async def export(sandbox: Sandbox, file: IO[str], console: Console) -> tuple[Tally, Stats]:
    """Walk the pages of all users' appointments into `file`, a JSON object a line."""
    tally, started = Tally(), time.monotonic()
    auth = ClientCredentials(CLIENT_ID, CLIENT_SECRET)
    async with CoachingClient(auth, base_url=sandbox.base_url) as client:
        with progress(console) as show:
            async for page in client.appointments.list(sandbox.state.user_ids).pages():
                file.writelines(json.dumps(to_dict(appointment)) + "\n" for appointment in page.entities)
                tally.items += len(page.entities)
                tally.pages += 1
                show(tally, page.total, client.stats())
        tally.seconds = time.monotonic() - started
        return tally, client.stats()


@contextmanager
def progress(console: Console) -> Generator[Callable[[Tally, int | None, Stats], None]]:
    """A function that shows how far the walk is: with a live bar on a terminal, else with a plain line now and then."""
    if not console.is_terminal:
        yield (
            lambda tally, total, stats: (
                console.print(f"{tally.items} of {total} items, {_troubles(stats)}") if tally.pages % 10 == 0 else None
            )
        )
        return
    columns = (
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda tally, total, stats: bar.update(
            task, completed=tally.items, total=total, description=_troubles(stats)
        )


def _troubles(stats: Stats) -> str:
    return f"{stats.throttled} of the answers 429, {stats.tokens} tokens minted"


def closing_table(tally: Tally, stats: Stats) -> Table:
    """What it took."""
    figures = {
        "items": tally.items,
        "pages": tally.pages,
        "requests": stats.requests,
        "retries": stats.retries,
        "429s": stats.throttled,
        "tokens minted": stats.tokens,
        "seconds": f"{tally.seconds:.1f}",
    }
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, figure in figures.items():
        table.add_row(name, str(figure))
    return table


def compared(out: Path, sandbox: Sandbox) -> tuple[int, int, int]:
    """How many appointments the file lacks, has more than once, and has otherwise than the sandbox."""
    exported = [_without_clock(json.loads(line)) for line in out.read_text().splitlines()]
    truth = {
        id_: _without_clock(sandbox.state.shown(appointment)) for id_, appointment in sandbox.state.appointments.items()
    }
    times = Counter(appointment.id for appointment in exported)
    lost = len(truth.keys() - times.keys())
    doubled = sum(count - 1 for count in times.values())
    altered = sum(truth.get(appointment.id) != appointment for appointment in exported)
    return lost, doubled, altered


def _without_clock(wire: dict[str, object]) -> Appointment:
    return attrs.evolve(from_dict(Appointment, wire), is_overdue=None)  # it may become overdue between two looks


@contextmanager
def replaced_at_the_end(path: Path) -> Generator[IO[str]]:
    """A file that gets its name when it is complete, and vanishes otherwise."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink()
        raise
