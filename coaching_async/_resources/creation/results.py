"""Results of `create_many`: the outcome of each body, progress, and the result as a whole."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import attrs

from coaching_async._bulk.results import Outcome, Progress, raise_errors
from coaching_async._value import summary
from coaching_async.models.appointments import Appointment, AppointmentCreate

__all__ = ["CreateOutcome", "CreateProgress", "CreateResult", "CreateStatus"]

CreateStatus: TypeAlias = Literal["created", "existing", "missing", "failed"]
"""What became of a body.

- `created`: this run has created it.
- `existing`: it was there already.
- `missing`: it was not found, and no request was sent to create it.
- `failed`: its `error` says why. Unless its `processed` is "no", it may have been created.
"""


@attrs.frozen(eq=False, repr=False, weakref_slot=False)
class CreateOutcome(Outcome[AppointmentCreate, Appointment]):
    """The outcome of one body. Its `item` is the body, its `value` the appointment."""

    index: int = attrs.field(kw_only=True)
    """Position of the body in the input, counted from 0."""
    status: CreateStatus = attrs.field(kw_only=True)
    """What became of the body."""
    candidates: tuple[Appointment, ...] = attrs.field(default=(), kw_only=True)
    """Appointments that match, if that is ambiguous; otherwise empty.

    Beside a `value` there are more of them than bodies, so some may be duplicates. Beside an `error` there are too few, and
    they do not tell which of several similar bodies was created. Nothing is deleted, and nothing more is created.
    """


@attrs.frozen(eq=False, repr=False)
class CreateProgress(Progress[AppointmentCreate, Appointment]):
    """Progress of `create_many`, after each outcome. `done` counts the appointments that were there already, too."""

    newest: CreateOutcome
    """Outcome that came last."""


@attrs.frozen(repr=False)
class CreateResult:
    """Outcomes of all bodies, in the order of the input."""

    outcomes: tuple[CreateOutcome, ...]
    """One outcome for each body, in the order of the input."""
    since: datetime
    """What to give as `since` if the same bodies are created again, so that only what is missing is created."""

    def __repr__(self) -> str:
        counts = Counter[str](outcome.status for outcome in self.outcomes)
        return summary(self, f"{counts.pop('created', 0)} created", **counts)

    @property
    def created(self) -> Sequence[CreateOutcome]:
        """Outcomes of the bodies that were created in this run."""
        return self._of("created")

    @property
    def existing(self) -> Sequence[CreateOutcome]:
        """Outcomes of the bodies that were there already."""
        return self._of("existing")

    @property
    def missing(self) -> Sequence[CreateOutcome]:
        """Outcomes of the bodies that were not found, and that no request was sent to create."""
        return self._of("missing")

    @property
    def failed(self) -> Sequence[CreateOutcome]:
        """Outcomes of the bodies that failed, each with its error."""
        return self._of("failed")

    @property
    def ambiguous(self) -> Sequence[CreateOutcome]:
        """Outcomes with `candidates`, because more or fewer appointments match than bodies, and do not tell them apart."""
        return tuple(outcome for outcome in self.outcomes if outcome.candidates)

    def raise_for_failures(self) -> None:
        """Raise all errors as one `ExceptionGroup`, each with a note of the index of its body.

            result = await client.appointments.create_many(bodies)
            result.raise_for_failures()

        Nothing is raised if there are none.
        """
        raise_errors(self.outcomes)

    def _of(self, status: CreateStatus) -> Sequence[CreateOutcome]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)
