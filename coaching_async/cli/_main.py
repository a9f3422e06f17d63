"""The commands of `coaching-async`, their options, and their exit codes."""

import logging
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final, NoReturn

import anyio
import click
from rich.console import Console

from coaching_async import AppointmentFilters, CoachingClient, CoachingError, Interval
from coaching_async.export import FORMS, Exported, ExportProgress, export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox

from . import _demo, _doctor
from ._output import checked_output
from ._progress import show_progress

__all__ = ["main"]

LEFT_OUT_LINES: Final = 20
"""Lines about rows that an export has left out."""


class Commands(click.Group):
    """A group of commands that handles failures to write their output."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with checked_output():
            return super().main(*args, **extra)


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
    try:
        complete = _demo.run(out, Console())
    except KeyboardInterrupt:
        _fail("interrupted; nothing was written", code=130)
    except OSError as error:
        _fail(f"cannot write {out}: {error.strerror or error}")
    if not complete:
        sys.exit(1)


@main.command(
    name="export",
    epilog="For example: coaching-async export --user-id 1111… --user-id 2222… --interval 2026-11 --out november.jsonl",
)
@click.option(
    "--user-id",
    "user_ids",
    multiple=True,
    required=True,
    help="User whose appointments to export; repeat it for more users.",
)
@click.option(
    "--interval",
    help="Only appointments in it: start/end in ISO 8601, both with a time zone, or a month such as 2026-11.",
)
@click.option("--status", "statuses", multiple=True, help="Only appointments with this status; repeat it for more.")
@click.option(
    "--facilitator-id",
    "facilitator_ids",
    multiple=True,
    help="Only appointments of this facilitator; repeat it for more.",
)
@click.option("--annotations", is_flag=True, help="Add the annotations of each appointment: one request for each.")
@click.option(
    "--statuses", "history", is_flag=True, help="Add the status history of each appointment: one request for each."
)
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--resume", is_flag=True, help="Resume an export that was stopped; repeat its other options.")
@click.option(
    "--verify", is_flag=True, help="Read the list until two passes agree, because it may change during the export."
)
def export_(
    user_ids: tuple[str, ...],
    interval: str | None,
    statuses: tuple[str, ...],
    facilitator_ids: tuple[str, ...],
    out: Path,
    *,
    annotations: bool,
    history: bool,
    form: str,
    resume: bool,
    verify: bool,
) -> None:
    """Write the appointments of users to a file.

    Environment variables name the org: GENESYSCLOUD_REGION (an AWS region, a domain or a URL), and
    GENESYSCLOUD_OAUTHCLIENT_ID with GENESYSCLOUD_OAUTHCLIENT_SECRET, or GENESYSCLOUD_ACCESS_TOKEN.

    The file has .part at the end of its name until it is complete, and each page is on the disk before the next one is
    requested. After an export was stopped, the same command with --resume continues it: no appointment is lost or doubled.
    Exit code 1 if rows were left out because they cannot be read, 2 if it fails, and 130 after Ctrl-C.
    """
    filters: AppointmentFilters = {
        "interval": _interval(interval),
        "statuses": statuses or None,
        "facilitator_ids": facilitator_ids or None,
    }
    console = Console(stderr=True)
    logging.getLogger("coaching_async").addHandler(logging.NullHandler())  # its warnings are told at the end
    written = 0

    async def run(client: CoachingClient) -> Exported:
        async with client:
            with show_progress(console, client) as show:

                def on_progress(progress: ExportProgress) -> None:
                    nonlocal written
                    written = progress.items
                    show(progress)

                exported = await export(
                    client,
                    user_ids,
                    out,
                    form=form,
                    with_annotations=annotations,
                    with_statuses=history,
                    resume=resume,
                    consistency="verify" if verify else "default",
                    on_progress=on_progress,
                    **filters,
                )
        if exported.suspected_gaps:
            console.print("the list changed, and some appointments may be missing: export again with --verify")
        console.print(f"{out}: {exported.items} appointments", soft_wrap=True, highlight=False)
        return exported

    def resume_hint(otherwise: str = "") -> str:
        return f"; {written} appointments are written: go on with --resume" if written else otherwise

    try:
        exported = anyio.run(run, CoachingClient.from_env())
    except KeyboardInterrupt:
        _fail(f"interrupted{resume_hint('; nothing was written')}", code=130)
    except (CoachingError, ValueError) as error:
        _fail(f"{error}{resume_hint()}")
    except OSError as error:
        _fail(f"cannot write {out}: {error.strerror or error}{resume_hint()}")
    if exported.rows_left_out:
        _report_left_out(exported)
        sys.exit(1)


def _report_left_out(exported: Exported) -> None:
    click.echo(f"coaching-async: left out {exported.rows_left_out} rows, which cannot be read:", err=True)
    for row in exported.left_out[:LEFT_OUT_LINES]:
        click.echo(f"  {row}", err=True)
    if (more := exported.rows_left_out - LEFT_OUT_LINES) > 0:
        click.echo(f"  and {more} more", err=True)


def _interval(text: str | None) -> Interval | None:
    if text is None:
        return None
    try:
        if month := re.fullmatch(r"(\d{4})-(\d\d)", text):
            return Interval.month(int(month[1]), int(month[2]))
        return Interval.parse(text)
    except ValueError as error:
        _fail(f"--interval {text}: {error}")


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
    try:
        is_healthy = (
            _doctor.run_probe(user_ids, foreign_appointment_id, out)
            if is_probe
            else _doctor.run_checks(needs, as_json=as_json)
        )
    except KeyboardInterrupt:
        _fail("interrupted; nothing was changed", code=130)
    except (CoachingError, ValueError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"cannot write {out}: {error.strerror or error}" if out else str(error))
    if not is_healthy:
        sys.exit(1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--appointments", default=200, show_default=True, help="Number of appointments at the start.")
@click.option("--users", default=10, show_default=True, help="Number of users that have them.")
@click.option("--page-cap", default=100, show_default=True, help="The largest page that the service returns.")
@click.option("--rate-limit", type=int, help="Requests per window and token. [default: unlimited]")
@click.option("--rate-window", default=60.0, show_default=True, help="Length of that window in seconds.")
@click.option("--token-life", default=86400, show_default=True, help="Lifetime of a token in seconds.")
@click.option("--login-rate-limit", type=int, help="Requests for a token per window. [default: unlimited]")
@click.option("--latency", default=0.0, show_default=True, help="Delay of each response of the API in seconds.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the data in this JSON file.")
def sandbox(state: Path | None, **options: Any) -> None:
    """Run a sandbox of Genesys Cloud until Ctrl-C: the API and /oauth/token on one port.

    With --state the data are loaded from that file, if it exists, and saved to it at the end.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Sandbox(**options, state=state if state and state.exists() else None) as running:
            try:
                click.echo(_usage(running))
                threading.Event().wait()
            finally:
                if state is not None:
                    running.save(state)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    except ValueError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"cannot run at {options['host']}:{options['port']}: {error}")


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
  refresh token {REFRESH_TOKEN}: gives a token of the first user, {user}

Try it:

  curl -s -H "Authorization: Bearer $({token})" "{url}/api/v2/coaching/appointments?userIds={user}&pageSize=3"

  python3 -c '{program}'

The API can be browsed, and tried, at {url}/docs; POST {url}/_sandbox/faults makes requests fail.

coaching-async export, and every program that uses CoachingClient.from_env(), connect to it after:

  export GENESYSCLOUD_REGION={url} GENESYSCLOUD_OAUTHCLIENT_ID={CLIENT_ID} GENESYSCLOUD_OAUTHCLIENT_SECRET={CLIENT_SECRET}
"""


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int = 2) -> NoReturn:
    click.echo(f"coaching-async: {message}", err=True)
    sys.exit(code)
