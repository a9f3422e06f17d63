"""The commands of `coaching-async`, their options, and their exit codes."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox

from . import _demo, _doctor
from ._export import export_
from ._failures import fail, interrupt_once, reported, say, sigterm_interrupts
from ._output import checked_output
from ._report import report_

__all__ = ["main"]

SHOWN_PEOPLE: Final = 5


class Commands(click.Group):
    """A group of commands that handles their signals, their errors, and failures to write their output."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with checked_output(), sigterm_interrupts():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with reported():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coaching_async")
def main() -> None:
    """Work with the Genesys Cloud Coaching API, or with a sandbox of it.

    Start with `coaching-async demo`. Then run `coaching-async sandbox` and develop against it: with the variables that it
    prints, `coaching-async export` and every program that uses CoachingClient.from_env() connect to it. With the variables
    of a real org they connect to that org; if they cannot, `coaching-async doctor` says why.
    """


@main.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("appointments.jsonl"),
    show_default=True,
    help="The file to write, one JSON object a line.",
)
def demo(out: Path) -> None:
    """Export 5,000 appointments from a sandbox, and check that none is lost or doubled.

    The sandbox has a lower rate limit than the client expects, and short-lived tokens. So the client is throttled (429)
    and refreshes its token during the export. Exit code 1 if an appointment is lost, doubled or altered.
    """
    with reported("; nothing was written", file=out):
        complete = _demo.run(out, Console(markup=False, emoji=False))
    if not complete:
        sys.exit(1)


@main.command()
@click.option(
    "--operation", "needs", multiple=True, help="An operation that your program calls, for example appointments.list."
)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@click.option("--probe", "is_probe", is_flag=True, help="Find out what the documentation of the API does not say.")
@click.option("--user-id", "user_ids", multiple=True, help="For --probe: a user whose appointments may be listed.")
@click.option(
    "--foreign-appointment-id", help="For --probe: an appointment of a division that the token has no access to."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="For --probe: the file to write.")
def doctor(
    needs: tuple[str, ...],
    user_ids: tuple[str, ...],
    foreign_appointment_id: str | None,
    out: Path | None,
    *,
    as_json: bool,
    is_probe: bool,
) -> None:
    """Find out why this machine cannot use the API, and what to do about it.

    Environment variables name the org, as for export. The doctor checks these variables, the proxy, the network, the token,
    the clock, the rate limit, and the permission for each operation. It changes nothing: apart from the request for a
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
            _doctor.run_probe(user_ids, foreign_appointment_id, out)
            if is_probe
            else _doctor.run_checks(needs, as_json=as_json)
        )
    if not is_healthy:
        sys.exit(1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="The day around which the appointments are. [default: the day of the start]",
)
@click.option("--appointments", default=200, show_default=True, help="Number of appointments at the start.")
@click.option("--users", default=10, show_default=True, help="Number of users that have them, in teams of five.")
@click.option("--page-cap", default=100, show_default=True, help="The largest page that the service returns.")
@click.option("--rate-limit", type=int, help="Requests per window and token. [default: unlimited]")
@click.option("--rate-window", default=60.0, show_default=True, help="Length of that window in seconds.")
@click.option("--token-life", default=86400, show_default=True, help="Lifetime of a token in seconds.")
@click.option("--login-rate-limit", type=int, help="Requests for a token per window. [default: unlimited]")
@click.option("--latency", default=0.0, show_default=True, help="Delay of each response of the API in seconds.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the data in this JSON file.")
def sandbox(state: Path | None, today: datetime | None, **options: Any) -> None:
    """Run a sandbox of Genesys Cloud until Ctrl-C: the API and /oauth/token on one port.

    With --state the data are loaded from that file, if it exists, and saved to it at the end.
    """
    interrupt_once()
    try:
        day = today.date() if today else None
        with Sandbox(**options, today=day, state=state if state and state.exists() else None) as running:
            try:
                click.echo(_usage(running))
                while True:  # a signal that the system gives to the server's thread wakes nobody
                    time.sleep(0.5)
            finally:
                if state is not None:
                    with reported(file=state):
                        running.save(state)
    except KeyboardInterrupt:
        say("stopped")
    except OSError as error:
        fail(f"cannot run at {options['host']}:{options['port']}: {error}")


def _people(running: Sandbox) -> str:
    state = running.state
    rows = list(state.users.items())[:SHOWN_PEOPLE]
    teams = {user_id: team["name"] for user_id, _ in rows if (team := state.team_of(user_id))}
    width = max(map(len, teams.values()), default=0)
    lines = [f"  {user_id}  {teams.get(user_id, '-'):{width}}  {row['name']} <{row['email']}>" for user_id, row in rows]
    if len(state.users) > len(rows):
        lines.append(f"  ... and {len(state.users) - len(rows)} more")
    return "\n".join(lines)


def _usage(running: Sandbox) -> str:
    url, user = running.base_url, running.state.user_ids[0]
    token = (
        f"curl -s -u {CLIENT_ID}:{CLIENT_SECRET} -d grant_type=client_credentials {url}/oauth/token"
        """ | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'"""
    )
    program = (
        f'import asyncio, coaching_async as ca; auth = ca.ClientCredentials("{CLIENT_ID}", "{CLIENT_SECRET}"); '
        f'client = ca.CoachingClient(auth, base_url="{url}"); '
        f'print(asyncio.run(client.appointments.list("{user}").collect(limit=3)))'
    )
    return f"""\
sandbox at {url}, stopped by Ctrl-C

  client        {CLIENT_ID}, secret {CLIENT_SECRET}: every permission, no user
  refresh token {REFRESH_TOKEN}: gives a token of the first user

Some of its people, with their teams:

{_people(running)}

Everyone, the appointments, and a form that makes requests fail: {url}

Try it:

  curl -s -H "Authorization: Bearer $({token})" "{url}/api/v2/coaching/appointments?userIds={user}&pageSize=3"

  python3 -c '{program}'

The API can be browsed, and tried, at {url}/docs.

coaching-async export, and every program that uses CoachingClient.from_env(), connect to it after:

  export GENESYSCLOUD_REGION={url} GENESYSCLOUD_OAUTHCLIENT_ID={CLIENT_ID} GENESYSCLOUD_OAUTHCLIENT_SECRET={CLIENT_SECRET}
"""


main.add_command(export_)
main.add_command(report_)
