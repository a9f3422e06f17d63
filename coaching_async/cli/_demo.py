"""Demonstration: an export over real sockets from a sandbox with a lower rate limit than the client expects."""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import attrs
import click
from rich.console import Console
from rich.table import Table

from coaching_async import Appointment, ClientCredentials, CoachingClient, from_dict
from coaching_async.export import export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

from ._failures import reported
from ._output import STANDARD_OUTPUT
from ._progress import show_progress, summary_table

__all__ = ["demo_", "export_all"]

APPOINTMENTS: Final = 5000
USERS: Final = 40


@click.command(name="demo")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("appointments.jsonl"),
    show_default=True,
    help="The file to write, one JSON object a line.",
)
def demo_(out: Path) -> None:
    """Export 5,000 appointments from a sandbox, and check that none is lost or doubled.

    The sandbox has a lower rate limit than the client expects, and short-lived tokens. So the client is throttled (429)
    and refreshes its token during the export. Exit code 1 if an appointment is lost, doubled or altered.
    """
    with reported("; nothing was written", file=out):
        complete = run(out, Console(markup=False, emoji=False))
    if not complete:
        sys.exit(1)


def run(out: Path, console: Console) -> bool:
    """Export all appointments to `out`; return whether none is lost, doubled or altered."""
    if out == STANDARD_OUTPUT or (out.exists() and not out.is_file()):  # a device, for example
        raise ValueError(f"{out} is no file that the demo could take the place of")
    # The client expects 300 requests a minute, more than the 50 pages of this export. A lower limit causes 429s.
    with Sandbox(appointments=APPOINTMENTS, users=USERS, rate_limit=15, rate_window=2.0, token_life=3) as sandbox:
        console.print(f"sandbox at {sandbox.base_url}: {APPOINTMENTS} appointments of {USERS} users")
        # An interrupted demo leaves no file, because its sandbox is gone and the export could not be resumed.
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            file = Path(folder) / out.name
            console.print(anyio.run(export_all, sandbox, file, console))
            file.replace(out)
        lost, doubled, altered = compare(out, sandbox)
    console.print(f"{out}: {lost} lost, {doubled} doubled, {altered} altered", soft_wrap=True)
    return not (lost or doubled or altered)


async def export_all(sandbox: Sandbox, file: Path, console: Console) -> Table:
    """Export the appointments of all users to `file`; return the figures of the export."""
    started = time.monotonic()
    async with CoachingClient(ClientCredentials(CLIENT_ID, CLIENT_SECRET), base_url=sandbox.base_url) as client:
        with show_progress(console, client) as on_progress:
            exported = await export(client, sandbox.state.user_ids, file, on_progress=on_progress)
        return summary_table(exported.items, exported.pages, time.monotonic() - started, client.stats())


def compare(out: Path, sandbox: Sandbox) -> tuple[int, int, int]:
    """Return how many appointments the file lacks, how many it has in excess, and how many differ from the sandbox's."""
    exported = [_comparable(json.loads(line)) for line in out.read_text().splitlines()]
    expected = {
        id_: _comparable(sandbox.state.shown(appointment)) for id_, appointment in sandbox.state.appointments.items()
    }
    count_by_id = Counter(appointment.id for appointment in exported)
    lost = len(expected.keys() - count_by_id.keys())
    doubled = sum(count - 1 for count in count_by_id.values())
    altered = sum(expected.get(appointment.id) != appointment for appointment in exported)
    return lost, doubled, altered


def _comparable(wire: dict[str, object]) -> Appointment:
    return attrs.evolve(
        from_dict(Appointment, wire), is_overdue=None
    )  # may change between the export and the comparison
