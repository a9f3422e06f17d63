"""The command `coaching-async doctor`: runs the checks or the probe, and prints the result."""

import json
import sys
from pathlib import Path
from typing import Final

import anyio
import attrs
import click
from rich.console import Console
from rich.text import Text

from coaching_async import CoachingClient
from coaching_async.doctor import REQUESTS, Check, Examination, Report, examine, probe

from ._failures import reported
from ._output import STANDARD_OUTPUT
from ._shared_state import Shared, shared_state_option

__all__ = ["doctor_"]

COLORS: Final = {"ok": "green", "problem": "bold red", "not allowed": "yellow", "not known": "yellow"}


@click.command(name="doctor")
@click.option(
    "--operation", "needs", multiple=True, help="An operation that your program calls, for example appointments.list."
)
@shared_state_option
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@click.option("--probe", "is_probe", is_flag=True, help="Find out what the documentation of the API does not say.")
@click.option("--user-id", "user_ids", multiple=True, help="For --probe: a user whose appointments may be listed.")
@click.option(
    "--foreign-appointment-id", help="For --probe: an appointment of a division that the token has no access to."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="For --probe: the file to write. [default: standard output]",
)
def doctor_(
    needs: tuple[str, ...],
    user_ids: tuple[str, ...],
    foreign_appointment_id: str | None,
    out: Path | None,
    shared: Shared,
    *,
    as_json: bool,
    is_probe: bool,
) -> None:
    """Find out why this machine cannot use the API, and what to do about it.

    Environment variables name the org, as for export. The doctor checks these variables, the proxy, the network, the token,
    the clock, the rate limit, the shared state, and the permission for each operation. It changes nothing: apart from the request for a
    token, it only sends GET and HEAD requests. Exit code 1 if a check finds a problem. A missing permission is a problem
    only for an operation that --operation names.

    With --probe it finds out, by GET requests, what the documentation of the API does not say (the largest page, for
    example), and writes a report in Markdown, without ids, names and hosts, to attach to a bug report.
    """
    has_probe_options = bool(user_ids or foreign_appointment_id or out)
    if (has_probe_options and not is_probe) or (is_probe and (needs or as_json)):
        raise click.UsageError("--user-id, --foreign-appointment-id and --out go with --probe, the others without it")
    with reported("; nothing was changed", file=out):
        is_healthy = (
            run_probe(user_ids, foreign_appointment_id, out, shared)
            if is_probe
            else run_checks(needs, shared, as_json=as_json)
        )
    if not is_healthy:
        sys.exit(1)


def run_checks(needs: tuple[str, ...], shared: Shared, *, as_json: bool) -> bool:
    """Check the environment's client and print the checks; return whether there is no problem."""

    async def run() -> Examination:
        async with shared.opened():
            return await examine(needs=needs, shared_state=shared.state)

    examination = anyio.run(run)
    if as_json:
        click.echo(json.dumps([attrs.asdict(check) for check in examination.checks], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for check in examination.checks:
            _print_check(console, check)
    return examination.is_healthy


def _print_check(console: Console, check: Check) -> None:
    console.print(Text.assemble((f"{check.state:11}", COLORS[check.state]), f" {check.name}: {check.sentence}"))
    if check.advice:
        console.print(Text(f"{'':11} → {check.advice}"))


def run_probe(user_ids: tuple[str, ...], foreign_appointment_id: str | None, out: Path | None, shared: Shared) -> bool:
    """Probe the service and write the report; return whether it is complete."""

    async def run() -> Report:
        client = CoachingClient.from_env(shared_state=shared.state)
        async with shared.opened(client):
            return await probe(client, user_ids=user_ids, foreign_appointment_id=foreign_appointment_id)

    click.echo(f"asking up to {REQUESTS} times, without changing anything", err=True)
    report = anyio.run(run)
    if out is None or out == STANDARD_OUTPUT:
        click.echo(report.text, nl=False)
        return report.is_complete
    try:
        out.write_text(report.text, encoding="utf-8")
    except OSError:
        click.echo(report.text, nl=False)  # so that the report is not lost
        raise
    return report.is_complete
