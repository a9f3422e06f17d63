"""The command `coaching-async sandbox`: runs a sandbox, and prints how to use it."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox

from ._failures import fail, interrupt_once, reported, say

__all__ = ["sandbox_"]

SHOWN_PEOPLE: Final = 5


@click.command(name="sandbox")
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
@click.option("--newest-first", is_flag=True, help="List the newest notification first.")
@click.option("--heartbeat", default=30.0, show_default=True, help="Seconds between two heartbeats of a WebSocket.")
@click.option("--channel-life", default=86400.0, show_default=True, help="Lifetime of a channel in seconds.")
@click.option("--closing-notice", default=60.0, show_default=True, help="Seconds from the warning to that end.")
@click.option("--channel-limit", default=20, show_default=True, help="Channels of a user and OAuth client.")
@click.option("--topic-limit", default=1000, show_default=True, help="Topics of a channel.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep the data in this JSON file.")
def sandbox_(state: Path | None, today: datetime | None, **options: Any) -> None:
    """Run a sandbox of Genesys Cloud until Ctrl-C: the API and /oauth/token on one port.

    With --state the data are loaded from that file, if it exists, and saved to it at the end.
    """
    if state is not None and not state.parent.is_dir():  # the end would be too late to tell
        fail(f"cannot write {state}: its folder does not exist")
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
    lines = [
        f"  {user_id}  {teams.get(user_id, '-'):{width}}  {row.get('name', '-')} <{row.get('email', '-')}>"
        for user_id, row in rows
    ]
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
