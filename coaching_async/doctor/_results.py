"""Results of an examination."""

from typing import Literal, TypeAlias

import attrs

__all__ = ["Check", "Examination", "State"]

State: TypeAlias = Literal["ok", "problem", "not allowed", "not known"]


@attrs.frozen
class Check:
    """Result of one check. "not allowed" is a problem only if the program needs the operation."""

    name: str
    state: State
    sentence: str
    advice: str | None = None
    """What to do; None if there is nothing to do."""


@attrs.frozen
class Examination:
    """Results of all checks. They contain no secrets, and no ids other than the correlation ids of errors."""

    checks: tuple[Check, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether no check has found a problem."""
        return all(check.state != "problem" for check in self.checks)
