"""The command `coaching-async export`: its options, its progress, and what it reports."""

import logging
import sys
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import click
from rich.console import Console

from coaching_async import AppointmentFilters, AppointmentStatus, CoachingClient, Relationship
from coaching_async.export import FORMS, Exported, ExportProgress, Form, check_form, export

from ._failures import COMPLETE_WITH_A_WARNING, counted, reported, say, say_left_out
from ._intervals import to_interval, to_zone
from ._output import STANDARD_OUTPUT
from ._progress import show_progress
from ._shared_state import Shared, shared_state_option
from ._user_ids import SelectedUsers, users_options

__all__ = ["export_"]


def _to_columns(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",")]


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
@users_options
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
    help="Time zone, for example Europe/Berlin, of days, weeks, months, and times without one; and of times in a table. "
    "[default: UTC]",
)
@click.option("--names", is_flag=True, help="Add the names of facilitator, attendees and creator.")
@click.option("--emails", is_flag=True, help="Add their e-mail addresses.")
@click.option(
    "--columns",
    metavar="A,B,C",
    callback=_to_columns,
    help="The columns of the table, in this order, in place of all; what they need is requested.",
)
@click.option("--annotations", is_flag=True, help="Add the annotations of each appointment: one request for each.")
@click.option(
    "--statuses", "history", is_flag=True, help="Add the status history of each appointment: one request for each."
)
@click.option("--format", "form", type=click.Choice(list(FORMS)), help="[default: that of the suffix of --out]")
@click.option(
    "--spreadsheet/--plain",
    default=None,
    help="Write CSV for spreadsheets, in which no text runs as a formula, or plain CSV for programs. [default: for "
    "spreadsheets]",
)
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
@shared_state_option
@click.option(
    "--verify", is_flag=True, help="Read the list until two passes agree, because it may change during the export."
)
def export_(
    users: SelectedUsers,
    out: Path,
    *,
    names: bool,
    emails: bool,
    columns: list[str] | None,
    timezone: str | None,
    annotations: bool,
    history: bool,
    form: Form | None,
    spreadsheet: bool | None,
    resume: bool | Literal["auto"],
    shared: Shared,
    verify: bool,
    **filters: Any,
) -> None:
    """Write the appointments of users to a file.

    Environment variables name the org: GENESYSCLOUD_REGION (an AWS region, a domain or a URL), and
    GENESYSCLOUD_OAUTHCLIENT_ID with GENESYSCLOUD_OAUTHCLIENT_SECRET, or GENESYSCLOUD_ACCESS_TOKEN.

    The file has .part at the end of its name until it is complete, and each page is on the disk before the next one is
    requested. After an export was stopped, the same command with --resume continues it: no appointment is lost or doubled.
    A command that is started again until it succeeds has --resume auto.

    The suffix of the file chooses its form: JSON lines, CSV, Excel or Parquet.

    Exit code 2 if it fails, 3 if it is complete but found nothing, left out rows that cannot be read, or cut texts, 130 after Ctrl-C,
    and 143 after SIGTERM.
    """
    is_piped = out == STANDARD_OUTPUT
    if is_piped and resume:
        raise click.UsageError("standard output cannot be resumed: leave out --resume, or name a file with --out")
    name = "standard output" if is_piped else str(out)
    console = Console(stderr=True, force_terminal=False if is_piped and sys.stdout.isatty() else None)
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # its warnings are reported at the end
    written = 0
    exported: Exported | None = None

    target = sys.stdout.buffer if is_piped else out

    async def run(
        client: CoachingClient, user_ids: list[str], zone: tzinfo | None, selected: AppointmentFilters
    ) -> None:
        async with shared.opened(client):
            user_ids += await users.find_ids(client)
            with show_progress(console, client) as show:

                def on_progress(progress: ExportProgress) -> None:
                    nonlocal written
                    written = progress.items
                    show(progress)

                nonlocal exported
                exported = await export(
                    client,
                    user_ids,
                    target,
                    form=form,
                    spreadsheet=spreadsheet,
                    columns=columns,
                    names=names,
                    emails=emails,
                    tz=zone,
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
        zone = None if timezone is None else to_zone(timezone)
        check_form(target, form=form, spreadsheet=spreadsheet, columns=columns, tz=zone)
        anyio.run(
            run, CoachingClient.from_env(shared_state=shared.state), users.read_ids(), zone, _selected(zone, **filters)
        )
    if exported is not None:
        _report(name, exported)
        if exported.rows_left_out or exported.cut_texts or not exported.items:
            sys.exit(COMPLETE_WITH_A_WARNING)


def _report(name: str, exported: Exported) -> None:
    if exported.suspected_gaps:
        say("the list changed, and some appointments may be missing: export again with --verify")
    if not exported.items:
        say("no appointment was found: check the users and the filters")
    elif exported.resumed_from is not None and not exported.pages:
        say("there was nothing to do: an earlier export has completed the file")
    say(f"{name}: {counted(exported.items, 'appointment')}")
    say_left_out(exported.left_out, exported.rows_left_out)
    if exported.cut_texts:
        say(
            f"coaching-async: cut {counted(exported.cut_texts, 'text')}, because Excel takes up to 32,767 characters in a cell"
        )


def _selected(
    zone: tzinfo | None,
    interval: str | None,
    completion_interval: str | None,
    statuses: tuple[str, ...],
    facilitator_ids: tuple[str, ...],
    relationships: tuple[str, ...],
    **others: Any,
) -> AppointmentFilters:
    """Return the filters that the options name."""
    return {
        "interval": None if interval is None else to_interval("--interval", interval, zone),
        "completion_interval": (
            None if completion_interval is None else to_interval("--completion-interval", completion_interval, zone)
        ),
        "statuses": [AppointmentStatus(each) for each in statuses] or None,
        "facilitator_ids": facilitator_ids or None,
        "relationships": [Relationship(each) for each in relationships] or None,
        "overdue": others["overdue"],
        "interval_condition": others["interval_condition"],
        "sort_order": others["sort_order"],
    }
