"""The command `coaching-async create`: its options, what it reports, and its exit codes."""

import logging
import sys
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

import anyio
import click
from rich.console import Console

from coaching_async.cli._failures import COMPLETE_WITH_A_WARNING, counted, fail, reported, say, say_list, visible
from coaching_async.cli._intervals import to_zone
from coaching_async.cli._output import STANDARD_OUTPUT
from coaching_async.cli._progress import show_count
from coaching_async.cli._shared_state import Shared, shared_state_option

from .columns import parse_time
from .journal import journal_of
from .plan import TEMPLATE, read_plan
from .results import WORDS, summary, write_results
from .run import Run

__all__ = ["create_"]

SOME_FAILED: Final = 1


def _check_encoding(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        "x".encode(value or "utf-8")
    except (LookupError, UnicodeError):
        raise click.BadParameter(f"{value!r} is no text encoding; names are like cp1252") from None
    return value


@click.command(
    name="create",
    epilog="For example: coaching-async create --from plan.csv --timezone Europe/Berlin --out result.csv",
)
@click.option(
    "--from",
    "plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The CSV file with one appointment a row.",
)
@click.option("--template", is_flag=True, help="Print a plan with two example rows, and do nothing else.")
@click.option("--dry-run", is_flag=True, help="Print what would be created and what is there already; create nothing.")
@click.option(
    "--timezone", metavar="NAME", help="Time zone of times without one, for example Europe/Berlin. [default: none]"
)
@click.option(
    "--since",
    metavar="TIME",
    help="Count an appointment as there already only if it was created since then. [default: whenever it was created]",
)
@click.option("--encoding", metavar="NAME", callback=_check_encoding, help="Encoding of the plan. [default: UTF-8]")
@shared_state_option
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The CSV file to write the result of each row to."
)
def create_(
    plan: Path | None,
    timezone: str | None,
    since: str | None,
    encoding: str | None,
    out: Path | None,
    shared: Shared,
    *,
    template: bool,
    dry_run: bool,
) -> None:
    """Create the appointments of a CSV file, each of them once.

    Every row is checked first, its people included, and nothing is created if a row has a fault. What is there already is
    not created again. So after an interruption, a kill or failures, the same command creates what is missing. It keeps a
    journal beside the plan, which tells it what it has created even if that was rescheduled or deleted since.

    Exit code 1 if some rows failed: run it again. 2 if the plan has faults or nothing could be created, 3 if every other
    row exists but some are ambiguous, 130 after Ctrl-C, and 143 after SIGTERM.
    """
    if template:
        click.echo(TEMPLATE, nl=False)
        return
    if plan is None:
        raise click.UsageError("name a plan with --from, or print one with --template")
    if out is not None:
        _check_out(out, plan)
    zone = None if timezone is None else to_zone(timezone)
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # its warnings are reported at the end
    with reported("; nothing was created"):
        rows = read_plan(plan.read_bytes(), encoding=encoding, zone=zone)
        started = _since(since, zone)
    with show_count(Console(stderr=True)) as show:
        run = Run(plan, rows, started, is_dry=dry_run, show_progress=show, shared=shared)
        _execute(run, out, rows.delimiter)
    if run.faults:
        say_list(sorted(run.faults), len(run.faults))
        fail(f"{plan}: {counted(len(run.faults), 'fault')}; nothing was created")
    _report(plan, run, is_dry=dry_run)


def _check_out(out: Path, plan: Path) -> None:
    for file, what in ((plan, "the plan"), (journal_of(plan), "its journal")):
        if out.resolve() == file.resolve() or (out.exists() and file.exists() and out.samefile(file)):
            raise click.UsageError(f"--out is {what}: choose another name")
    if not out.parent.is_dir():
        raise click.UsageError("--out is in a folder that does not exist")
    if not out.name or out == STANDARD_OUTPUT or (out.exists() and not out.is_file()):
        raise click.UsageError("--out is no file that results could be written to: choose another name")


def _execute(run: Run, out: Path | None, delimiter: str) -> None:
    """Run, and write the results, also of a run that is interrupted or fails."""
    try:
        with reported("; nothing was created", kept=run.kept, file=run.journal.path):
            anyio.run(run)
    finally:
        if out is not None and run.bodies:
            with reported(file=out):
                write_results(out, run.all_results(), delimiter)


def _since(text: str | None, zone: tzinfo | None) -> datetime | None:
    try:
        return None if text is None else parse_time(text, zone)
    except ValueError as error:
        fail(f"--since: {error}")


def _report(plan: Path, run: Run, *, is_dry: bool) -> None:
    results = run.all_results()
    if is_dry:
        for result, body in zip(results, run.bodies, strict=True):
            what = "would be created" if result.status == "missing" else WORDS[result.status]
            click.echo(visible(f"line {result.line}: {what}: {body.date_start.isoformat(' ', 'minutes')} {body.name}"))
    told = [result for result in results if result.status in {"failed", "ambiguous"}]
    say_list((f"line {result.line}: {result.message}" for result in told), len(told))
    say(f"{plan}: {summary(results, is_dry=is_dry)}")
    statuses = {result.status for result in results}
    if not is_dry and statuses & {"failed", "missing"}:
        say("coaching-async: run it again to create the rest")
        sys.exit(SOME_FAILED)
    if "ambiguous" in statuses:
        sys.exit(COMPLETE_WITH_A_WARNING)
