"""The command `coaching-async report`: its options, and what it reports."""

import logging
import sys
from pathlib import Path

import anyio
import click

from coaching_async import CoachingClient, Interval
from coaching_async.export import LeftOut
from coaching_async.report import Report, check_report, check_target, report

from ._failures import COMPLETE_WITH_A_WARNING, counted, reported, say, say_left_out
from ._intervals import to_interval, to_zone
from ._output import STANDARD_OUTPUT
from ._shared_state import Shared, shared_state_option
from ._user_ids import SelectedUsers, is_id, users_options

__all__ = ["report_"]


@click.command(
    name="report",
    epilog="For example: coaching-async report --team Billing --interval 2026-11 --timezone Europe/Berlin --out billing.html",
)
@users_options
@click.option(
    "--interval",
    required=True,
    help="The appointments that start in it: start/end in ISO 8601, or a day, a week or a month such as 2026-11.",
)
@click.option(
    "--timezone",
    metavar="NAME",
    default="UTC",
    show_default=True,
    help="Time zone of days, weeks and times, for example Europe/Berlin.",
)
@click.option("--title", help="The heading of the page. [default: the name of the team, or the number of people]")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The HTML file to write; - is standard output.",
)
@shared_state_option
@click.option("--force", is_flag=True, help="Replace the file even if it is not a report.")
def report_(
    users: SelectedUsers,
    interval: str,
    timezone: str,
    title: str | None,
    out: Path,
    shared: Shared,
    *,
    force: bool,
) -> None:
    """Write a page about the coaching of people: completion by week and facilitator, overdue and next appointments.

    Environment variables name the org, as for export. The page is one HTML file that shows itself in any browser and on
    paper, and requests nothing. It replaces an earlier report, and no other file.

    Exit code 2 if it fails, 3 if it is written but there was no appointment, or rows that cannot be read were left out.
    """
    is_piped = out == STANDARD_OUTPUT
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # its warnings are reported at the end
    zone = to_zone(timezone)
    span = to_interval("--interval", interval, zone)

    async def fetch(client: CoachingClient, user_ids: list[str], span: Interval) -> Report:
        async with shared.opened(client):
            found = [*user_ids, *await users.find_ids(client)]
            is_only_teams = not (user_ids or users.emails or any(map(is_id, users.teams)))
            heading = title or (", ".join(users.teams) if is_only_teams else None)
            return await report(client, found, interval=span, tz=zone, title=heading)

    with reported("; nothing was written", file=None if is_piped else out):
        check_report(span, zone)
        if not is_piped:
            check_target(out, replace=force)
        made = anyio.run(fetch, CoachingClient.from_env(shared_state=shared.state), users.read_ids(), span)
        if is_piped:
            sys.stdout.buffer.write(made.html().encode(errors="replace"))
        else:
            made.write(out, replace=force)
    _say(made, "standard output" if is_piped else str(out))
    if made.rows_left_out or not made.figures.counts.total:
        sys.exit(COMPLETE_WITH_A_WARNING)


def _say(made: Report, name: str) -> None:
    counts = made.figures.counts
    if not counts.total:
        say("no appointment was found: check the people and the interval")
    people = len(made.figures.people)
    say(f"{name}: {counted(counts.total, 'appointment')} of {people} {'person' if people == 1 else 'people'}")
    say_left_out((LeftOut("appointments", row.id, row) for row in made.left_out), made.rows_left_out)
