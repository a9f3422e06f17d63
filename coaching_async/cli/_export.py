"""The command `coaching-async export`: its options, its progress, and what it reports."""

import logging
import sys
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import click
from rich.console import Console

from coaching_async import AppointmentFilters, CoachingClient
from coaching_async.export import FORMS, Exported, ExportProgress, export

from ._failures import fail, reported, say
from ._intervals import to_interval, to_zone
from ._progress import show_progress
from ._user_ids import read_user_ids

__all__ = ["export_"]

STANDARD_OUTPUT: Final = Path("-")

LEFT_OUT_LINES: Final = 20
"""Lines about rows that an export has left out."""


EXPLICIT: Final = "explicit"
"""The value of --resume that is given without one."""


def _to_resume(_: click.Context, __: click.Parameter, value: str | None) -> bool | str:
    if value not in {None, EXPLICIT, "auto"}:
        raise click.BadParameter(f"{value!r} is not 'auto'; leave it out to resume what was stopped")
    return value if value == "auto" else value == EXPLICIT


@click.command(
    name="export",
    epilog="For example: coaching-async export --user-id 1111... --user-id 2222... --interval 2026-11 --out november.jsonl",
)
@click.option(
    "--user-id", "given_ids", multiple=True, help="User whose appointments to export; repeat it for more users."
)
@click.option(
    "--user-ids",
    "--user-ids-file",
    "id_files",
    multiple=True,
    metavar="FILE",
    help="File with the ids of users, one a line; - is standard input.",
)
@click.option(
    "--interval",
    help="Only appointments in it: start/end in ISO 8601, or a day, a week or a month such as 2026-11.",
)
@click.option("--status", "statuses", multiple=True, help="Only appointments with this status; repeat it for more.")
@click.option(
    "--facilitator-id",
    "facilitator_ids",
    multiple=True,
    help="Only appointments of this facilitator; repeat it for more.",
)
@click.option(
    "--relationship",
    "relationships",
    multiple=True,
    help="Only appointments in which the users are Attendee, Creator or Facilitator; repeat it for more.",
)
@click.option("--completion-interval", help="Only appointments that were completed in it; written like --interval.")
@click.option("--overdue/--not-overdue", default=None, help="Only appointments that are overdue, or that are not.")
@click.option("--interval-condition", help="Which appointments are in --interval: StartsIn or Overlaps.")
@click.option("--sort-order", help="The order by due date: Asc or Desc.")
@click.option(
    "--timezone",
    metavar="NAME",
    help="Time zone of days, weeks, months, and times without one, for example Europe/Berlin. [default: UTC]",
)
@click.option("--annotations", is_flag=True, help="Add the annotations of each appointment: one request for each.")
@click.option(
    "--statuses", "history", is_flag=True, help="Add the status history of each appointment: one request for each."
)
@click.option("--format", "form", type=click.Choice(list(FORMS)), help="[default: that of the suffix of --out]")
@click.option("--spreadsheet", is_flag=True, help="Write CSV for spreadsheets, in which no text runs as a formula.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write; - is standard output.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=EXPLICIT,
    metavar="[auto]",
    callback=_to_resume,
    help="Resume an export that was stopped; repeat its other options. With auto, begin it if there is none, and succeed "
    "if it is complete.",
)
@click.option(
    "--verify", is_flag=True, help="Read the list until two passes agree, because it may change during the export."
)
def export_(
    given_ids: tuple[str, ...],
    id_files: tuple[str, ...],
    out: Path,
    *,
    annotations: bool,
    history: bool,
    form: str | None,
    spreadsheet: bool,
    resume: bool | Literal["auto"],
    verify: bool,
    **filters: Any,
) -> None:
    """Write the appointments of users to a file.

    Environment variables name the org: GENESYSCLOUD_REGION (an AWS region, a domain or a URL), and
    GENESYSCLOUD_OAUTHCLIENT_ID with GENESYSCLOUD_OAUTHCLIENT_SECRET, or GENESYSCLOUD_ACCESS_TOKEN.

    The file has .part at the end of its name until it is complete, and each page is on the disk before the next one is
    requested. After an export was stopped, the same command with --resume continues it: no appointment is lost or doubled.
    A command that is started again until it succeeds has --resume auto.

    Exit code 2 if it fails, 3 if it is complete but found nothing or left out rows that cannot be read, 130 after Ctrl-C,
    and 143 after SIGTERM.
    """
    if not given_ids and not id_files:
        raise click.UsageError("name users with --user-id, or a file of them with --user-ids")
    is_piped = out == STANDARD_OUTPUT
    if is_piped and resume:
        raise click.UsageError("standard output cannot be resumed: leave out --resume, or name a file with --out")
    name = "standard output" if is_piped else str(out)
    console = Console(stderr=True, force_terminal=False if is_piped and sys.stdout.isatty() else None)
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # its warnings are reported at the end
    written = 0
    exported: Exported | None = None

    async def run(client: CoachingClient, user_ids: list[str], selected: AppointmentFilters) -> None:
        async with client:
            with show_progress(console, client) as show:

                def on_progress(progress: ExportProgress) -> None:
                    nonlocal written
                    written = progress.items
                    show(progress)

                nonlocal exported
                exported = await export(
                    client,
                    user_ids,
                    sys.stdout.buffer if is_piped else out,
                    form=form,
                    spreadsheet=spreadsheet,
                    with_annotations=annotations,
                    with_statuses=history,
                    resume=resume,
                    consistency="verify" if verify else "default",
                    on_progress=on_progress,
                    **selected,
                )

    def kept() -> str:
        if exported is not None:
            return f"; {name} is complete"
        how_to_go_on = "" if is_piped else f": go on with --resume{' auto' if resume == 'auto' else ''}"
        return f"; {written} appointments are written{how_to_go_on}" if written else ""

    with reported("; nothing was written", kept=kept, file=None if is_piped else out):
        user_ids = [*given_ids, *read_user_ids(id_files)]
        anyio.run(run, CoachingClient.from_env(), user_ids, _selected(**filters))
    if exported is not None:
        _report(name, exported)
        if exported.rows_left_out or not exported.items:
            sys.exit(COMPLETE_WITH_A_WARNING)


COMPLETE_WITH_A_WARNING: Final = 3
"""Exit code of its own, because a scheduler that starts the export again would get the same result."""


def _report(name: str, exported: Exported) -> None:
    if exported.suspected_gaps:
        say("the list changed, and some appointments may be missing: export again with --verify")
    if not exported.items:
        say("no appointment was found: check the users and the filters")
    elif exported.resumed_from is not None and not exported.pages:
        say("there was nothing to do: an earlier export has completed the file")
    say(f"{name}: {exported.items} appointments")
    if exported.rows_left_out:
        say(f"coaching-async: left out {exported.rows_left_out} rows, which cannot be read:")
    for row in exported.left_out[:LEFT_OUT_LINES]:
        say(f"  {row}")
    if (more := exported.rows_left_out - LEFT_OUT_LINES) > 0:
        say(f"  and {more} more")


def _selected(
    interval: str | None,
    completion_interval: str | None,
    timezone: str | None,
    statuses: tuple[str, ...],
    facilitator_ids: tuple[str, ...],
    relationships: tuple[str, ...],
    **others: Any,
) -> AppointmentFilters:
    """Return the filters that the options name."""
    if timezone and not (interval or completion_interval):
        fail("--timezone is that of --interval or --completion-interval: give one of them")
    zone = None if timezone is None else to_zone(timezone)
    return {
        "interval": None if interval is None else to_interval("--interval", interval, zone),
        "completion_interval": (
            None if completion_interval is None else to_interval("--completion-interval", completion_interval, zone)
        ),
        "statuses": statuses or None,
        "facilitator_ids": facilitator_ids or None,
        "relationships": relationships or None,
        "overdue": others["overdue"],
        "interval_condition": others["interval_condition"],
        "sort_order": others["sort_order"],
    }
