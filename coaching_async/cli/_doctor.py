"""The command `coaching-async doctor`: runs the checks or the probe, and prints the result."""

import json
from pathlib import Path
from typing import Final

import anyio
import attrs
import click
from rich.console import Console
from rich.text import Text

from coaching_async import CoachingClient
from coaching_async.doctor import REQUESTS, Check, Report, examine, probe

__all__ = ["run_checks", "run_probe"]

COLORS: Final = {"ok": "green", "problem": "bold red", "not allowed": "yellow", "not known": "yellow"}


def run_checks(needs: tuple[str, ...], *, as_json: bool) -> bool:
    """Check the environment's client and print the checks; return whether there is no problem."""
    examination = anyio.run(lambda: examine(needs=needs))
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


def run_probe(user_ids: tuple[str, ...], foreign_appointment_id: str | None, out: Path | None) -> bool:
    """Probe the service and write the report; return whether it is complete."""

    async def run() -> Report:
        async with CoachingClient.from_env() as client:
            return await probe(client, user_ids=user_ids, foreign_appointment_id=foreign_appointment_id)

    click.echo(f"asking up to {REQUESTS} times, without changing anything", err=True)
    report = anyio.run(run)
    if out is None:
        click.echo(report.text, nl=False)
        return report.is_complete
    try:
        out.write_text(report.text, encoding="utf-8")
    except OSError:
        click.echo(report.text, nl=False)  # so that the report is not lost
        raise
    return report.is_complete
