"""The commands of `coaching-async`, their options, and their exit codes."""

from importlib import import_module
from typing import Any, Final

import click

from coaching_async import __version__

from ._failures import reported, sigterm_interrupts
from ._output import checked_output

__all__ = ["main"]

COMMANDS: Final = {
    "create": "Create the appointments of a CSV file, each of them once.",
    "demo": "Export 5,000 appointments from a sandbox.",
    "doctor": "Find out why this machine cannot use the API.",
    "export": "Write the appointments of users to a file.",
    "report": "Write a page about the coaching of people.",
    "sandbox": "Run a sandbox of Genesys Cloud until Ctrl-C.",
    "watch": "Write your notifications as they happen, a line each, until Ctrl-C.",
}
"""The commands, and the beginning of the help of each.

Each has a module of its name, with an underscore before it, and there a function with an underscore behind it. The module is
imported when its command runs, because that of the sandbox alone takes as long as all else.
"""


class Commands(click.Group):
    """A group of commands that handles their signals, their errors, and failures to write their output."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with checked_output(), sigterm_interrupts():
            return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click names it
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # click names it
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 # click names it
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = getattr(import_module(f"._{cmd_name}", __package__), f"{cmd_name}_")
        except ModuleNotFoundError as missing:
            raise click.ClickException(
                f"{missing.name} is missing; install the command with: pip install 'coaching_async[cli]'"
            ) from None
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with reported():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Work with the Genesys Cloud Coaching API, or with a sandbox of it.

    Start with `coaching-async demo`. Then run `coaching-async sandbox` and develop against it: with the variables that it
    prints, `coaching-async export` and every program that uses CoachingClient.from_env() connect to it. With the variables
    of a real org they connect to that org; if they cannot, `coaching-async doctor` says why.
    """
