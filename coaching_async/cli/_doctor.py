"""What `coaching-async doctor` does with its options."""

import json
from pathlib import Path
from typing import Final

import anyio
import attrs
import click
from rich.console import Console
from rich.markup import escape

from coaching_async import CoachingClient
from coaching_async.doctor import REQUESTS, Check, Report, examine, probe

__all__ = ["examined", "probed"]

COLOURS: Final = {"ok": "green", "problem": "bold red", "not allowed": "yellow", "not known": "yellow"}


def examined(needs: tuple[str, ...], *, as_json: bool) -> bool:
    """Examine what the environment configures, and show it; whether nothing is a problem."""
    found = anyio.run(lambda: examine(needs=needs))
    if as_json:
        click.echo(json.dumps([attrs.asdict(check) for check in found.checks], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for check in found.checks:
            _show(console, check)
    return found.is_healthy


def _show(console: Console, check: Check) -> None:
    console.print(f"[{COLOURS[check.state]}]{check.state:11}[/] {check.name}: {escape(check.sentence)}")
    if check.advice:
        console.print(f"{'':11} → {escape(check.advice)}")


def probed(user_ids: tuple[str, ...], foreign_appointment_id: str | None, out: Path | None) -> bool:
    """Probe, and write the report; whether nothing is missing in it."""

    async def work() -> Report:
        async with CoachingClient.from_env() as client:
            return await probe(client, user_ids=user_ids, foreign_appointment_id=foreign_appointment_id)

    click.echo(f"asking up to {REQUESTS} times, without changing anything", err=True)
    report = anyio.run(work)
    if out is None:
        click.echo(report.text, nl=False)
        return report.is_complete
    try:
        out.write_text(report.text, encoding="utf-8")
    except OSError:
        click.echo(report.text, nl=False)  # rather there than lost
        raise
    return report.is_complete
