"""The command `coaching-async`."""

import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import anyio
import click
from rich.console import Console

from coaching_async import AppointmentFilters, CoachingClient, CoachingError, Interval
from coaching_async.export import FORMS, ExportProgress, export
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox

from . import _demo, _doctor
from ._output import checked_output
from ._progress import progress

__all__ = ["main"]


class Commands(click.Group):
    """The commands, each run so that a failure to write its output is handled in one place."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with checked_output():
            return super().main(*args, **extra)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coaching_async")
def main() -> None:
    """Work with the Genesys Cloud Coaching API, or with a sandbox of it.

    Start with `coaching-async demo`. Then run `coaching-async sandbox` and develop against it; what it prints makes
    `coaching-async export`, and every program that uses CoachingClient.from_env(), talk to it. With the environment of a
    real org they talk to that; where they do not, `coaching-async doctor` says why.
    """


@main.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("appointments.jsonl"),
    show_default=True,
    help="Where the appointments go, a JSON object a line.",
)
def demo(out: Path) -> None:
    """Export 5,000 appointments from a sandbox, and check that none is lost or doubled.

    The sandbox allows less than the client paces for and its tokens are short-lived, so on the way the client is told to
    wait (429) and renews its token. Exit code 1 if anything is lost, doubled or altered.
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
    "--user-id", "user_ids", multiple=True, required=True, help="Whose appointments; give it again for more users."
)
@click.option(
    "--interval", help="Only those in it: start/end in ISO 8601, both with a time zone, or a month such as 2026-11."
)
@click.option("--status", "statuses", multiple=True, help="Only those with it; give it again for more.")
@click.option(
    "--facilitator-id", "facilitator_ids", multiple=True, help="Only those of this facilitator; give it again for more."
)
@click.option("--annotations", is_flag=True, help="Add the annotations of each, which takes a request for each.")
@click.option("--statuses", "history", is_flag=True, help="Add the history of the status of each: a request for each.")
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--resume", is_flag=True, help="Go on with an export that was stopped; give the other options again.")
@click.option("--verify", is_flag=True, help="Walk the list until two walks agree, where it may change meanwhile.")
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

    The org is in the environment: GENESYSCLOUD_REGION (an AWS region, a domain or a URL), and
    GENESYSCLOUD_OAUTHCLIENT_ID with GENESYSCLOUD_OAUTHCLIENT_SECRET, or GENESYSCLOUD_ACCESS_TOKEN.

    The file gets its name when it is complete; until then it stands beside it with .part at the end, and every page is on
    the disk before the next is asked for. Whatever stops an export, the same command with --resume goes on where it was:
    nothing is lost, and nothing comes twice. Exit code 2 where it cannot go on, and 130 after Ctrl-C.
    """
    filters: AppointmentFilters = {
        "interval": _interval(interval),
        "statuses": statuses or None,
        "facilitator_ids": facilitator_ids or None,
    }
    console = Console(stderr=True)
    written = 0

    async def work(client: CoachingClient) -> None:
        async with client:
            with progress(console, client) as show:

                def told(progress: ExportProgress) -> None:
                    nonlocal written
                    written = progress.items
                    show(progress)

                done = await export(
                    client,
                    user_ids,
                    out,
                    form=form,
                    with_annotations=annotations,
                    with_statuses=history,
                    resume=resume,
                    consistency="verify" if verify else "default",
                    on_progress=told,
                    **filters,
                )
        if done.suspected_gaps:
            console.print("the list changed in a way that may have hidden some: export again, with --verify")
        console.print(f"{out}: {done.items} appointments", soft_wrap=True, highlight=False)

    def kept(nothing: str = "") -> str:
        return f"; {written} appointments are written: go on with --resume" if written else nothing

    try:
        anyio.run(work, CoachingClient.from_env())
    except KeyboardInterrupt:
        _fail(f"interrupted{kept('; nothing was written')}", code=130)
    except (CoachingError, ValueError) as error:
        _fail(f"{error}{kept()}")
    except OSError as error:
        _fail(f"cannot write {out}: {error.strerror or error}{kept()}")


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
@click.option("--operation", "needs", multiple=True, help="What your program calls, for example appointments.list.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.option("--probe", "is_probe", is_flag=True, help="Ask the service what its documentation leaves open.")
@click.option("--user-id", "user_ids", multiple=True, help="For --probe: whose appointments may be listed.")
@click.option("--foreign-appointment-id", help="For --probe: one of a division that the token may not see.")
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
    """Find out what stands between this machine and the API, and what to do about it.

    The org is in the environment, as for export. Looked at are the environment, the proxy, the network, the token, the
    clock, the rate limit, and which operations the token may call. Nothing is changed: apart from the request for a token,
    it only reads, and for what is not there. Exit code 1 if something is a problem; an operation that the token may not call
    is one where --operation names it.

    With --probe it asks, by reading, what the documentation of the API leaves open (the largest page, say), and reports it in
    Markdown, without ids, names and hosts, to attach to a bug.
    """
    for_probe = bool(user_ids or foreign_appointment_id or out)
    if (for_probe and not is_probe) or (is_probe and (needs or as_json)):
        raise click.UsageError("--user-id, --foreign-appointment-id and --out go with --probe, the others without it")
    try:
        is_well = (
            _doctor.probed(user_ids, foreign_appointment_id, out)
            if is_probe
            else _doctor.examined(needs, as_json=as_json)
        )
    except KeyboardInterrupt:
        _fail("interrupted; nothing was changed", code=130)
    except (CoachingError, ValueError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"cannot write {out}: {error.strerror or error}" if out else str(error))
    if not is_well:
        sys.exit(1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8080, show_default=True, help="Port to listen at; 0 takes a free one.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same data.")
@click.option("--appointments", default=200, show_default=True, help="How many appointments there are at first.")
@click.option("--users", default=10, show_default=True, help="How many users they are of.")
@click.option("--page-cap", default=100, show_default=True, help="The most entities on a page, whatever is asked for.")
@click.option("--rate-limit", type=int, help="Requests in a window for one token; unlimited unless given.")
@click.option("--rate-window", default=60.0, show_default=True, help="Seconds of that window.")
@click.option("--token-life", default=86400, show_default=True, help="Seconds a token lives.")
@click.option("--login-rate-limit", type=int, help="Requests in that window for tokens; unlimited unless given.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds that each answer of the API waits.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the data in this JSON file.")
def sandbox(state: Path | None, **options: Any) -> None:
    """Run a stand-in for Genesys Cloud until Ctrl-C: the API and /oauth/token on one port.

    With --state the data are loaded from that file, if it is there, and saved to it at the end.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Sandbox(**options, state=state if state and state.exists() else None) as running:
            try:
                click.echo(_how_to_use(running))
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


def _how_to_use(running: Sandbox) -> str:
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

The API can be browsed, and tried, at {url}/docs; POST {url}/_sandbox/faults orders what shall go wrong.

Whatever configures itself with CoachingClient.from_env(), and coaching-async export, talks to it after:

  export GENESYSCLOUD_REGION={url} GENESYSCLOUD_OAUTHCLIENT_ID={CLIENT_ID} GENESYSCLOUD_OAUTHCLIENT_SECRET={CLIENT_SECRET}
"""


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int = 2) -> NoReturn:
    click.echo(f"coaching-async: {message}", err=True)
    sys.exit(code)
