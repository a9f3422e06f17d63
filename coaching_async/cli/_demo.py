"""The client's main job on real sockets: a whole export from a sandbox that is stingier than the client expects."""

import json
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import attrs
from rich.console import Console
from rich.table import Table

from coaching_async import Appointment, ClientCredentials, CoachingClient, from_dict
from coaching_async.export import export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, Sandbox

from ._progress import closing_table, progress

__all__ = ["run"]

APPOINTMENTS: Final = 5000
USERS: Final = 40


def run(out: Path, console: Console) -> bool:
    """Export everything to `out` and compare it with the sandbox's own truth: True if nothing is lost or doubled."""
    # The client paces for 300 requests a minute, which a burst of 50 pages does not reach; this service allows less.
    with Sandbox(appointments=APPOINTMENTS, users=USERS, rate_limit=15, rate_window=2.0, token_life=3) as sandbox:
        console.print(f"sandbox at {sandbox.base_url}: {APPOINTMENTS} appointments of {USERS} users")
        with TemporaryDirectory(
            prefix=f".{out.name}.", dir=out.parent
        ) as folder:  # what is cut short, nobody can resume
            file = Path(folder) / out.name
            console.print(anyio.run(export_all, sandbox, file, console))
            file.replace(out)
        lost, doubled, altered = compared(out, sandbox)
    console.print(f"{out}: {lost} lost, {doubled} doubled, {altered} altered")
    return not (lost or doubled or altered)


async def export_all(sandbox: Sandbox, file: Path, console: Console) -> Table:
    """Export all users' appointments into `file`, and lay out what it took."""
    started = time.monotonic()
    async with CoachingClient(ClientCredentials(CLIENT_ID, CLIENT_SECRET), base_url=sandbox.base_url) as client:
        with progress(console, client) as on_progress:
            done = await export(client, sandbox.state.user_ids, file, on_progress=on_progress)
        return closing_table(done.items, done.pages, time.monotonic() - started, client.stats())


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
