"""The commands of `coaching-async`, their options, and their exit codes."""

from importlib import import_module
from typing import Any, Final

import click

from ._failures import reported, sigterm_interrupts
from ._output import checked_output

__all__ = ["main"]

COMMANDS: Final = ("create", "demo", "doctor", "export", "report", "sandbox")
"""Each has a module of its name, with an underscore before it, and there a function with an underscore behind it.

A module is imported when its command runs, because that of the sandbox alone takes as long as all else.
"""


class Commands(click.Group):
    """A group of commands that handles their signals, their errors, and failures to write their output."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with checked_output(), sigterm_interrupts():
            return super().main(*args, **extra)

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
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
@click.version_option(package_name="coaching_async")
def main() -> None:
    """Work with the Genesys Cloud Coaching API, or with a sandbox of it.

    Start with `coaching-async demo`. Then run `coaching-async sandbox` and develop against it: with the variables that it
    prints, `coaching-async export` and every program that uses CoachingClient.from_env() connect to it. With the variables
    of a real org they connect to that org; if they cannot, `coaching-async doctor` says why.
    """
