"""Results of an examination."""

from typing import Literal, TypeAlias

import attrs

__all__ = ["Check", "Examination", "State"]

State: TypeAlias = Literal["ok", "problem", "not allowed", "not known"]


@attrs.frozen
class Check:
    """Result of one check."""

    name: str
    """What was checked: a host, or an operation for example."""
    state: State
    """What it means. "not allowed" (a permission is missing) is a problem only if the program needs the operation."""
    sentence: str
    """What was found."""
    advice: str | None = None
    """What to do; None if there is nothing to do."""


@attrs.frozen
class Examination:
    """Results of all checks. They contain no secrets, and no ids other than the correlation ids of errors."""

    checks: tuple[Check, ...]
    """Results, in the order in which the checks were made."""

    @property
    def is_healthy(self) -> bool:
        """Whether no check has found a problem."""
        return all(check.state != "problem" for check in self.checks)
