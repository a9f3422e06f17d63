"""What an examination finds, as records."""

from typing import Literal, TypeAlias

import attrs

__all__ = ["Check", "Examination", "State"]

State: TypeAlias = Literal["ok", "problem", "not allowed", "not known"]


@attrs.frozen
class Check:
    """One thing that was looked at. "not allowed" is no problem, unless the program needs it."""

    name: str
    state: State
    sentence: str
    advice: str | None = None
    """What to do, where there is something to do."""


@attrs.frozen
class Examination:
    """All that was looked at. It has no secrets in it, and no ids but the correlation ids of errors."""

    checks: tuple[Check, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is a problem."""
        return all(check.state != "problem" for check in self.checks)
