"""`create_many`: creates each of many appointments once, and looks where it is not known whether one was created."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar

import anyio
import attrs

from coaching_async._bulk.results import BulkResult, Progress
from coaching_async._bulk.runner import bulk, check_progress
from coaching_async._exceptions import CoachingError, OutcomeUnknown
from coaching_async.models.appointments import Appointment, AppointmentCreate
from coaching_async.models.types import require_aware

from .lookups import Lookup, plan_lookups
from .matching import Match, match_all
from .results import CreateOutcome, CreateProgress, CreateResult, CreateStatus

__all__ = ["CreateRun", "OnCreate"]

K = TypeVar("K")
T = TypeVar("T")

OnCreate: TypeAlias = Callable[[CreateProgress], object]


DELAYS: Final = (0.0, 1.0, 2.0)
"""Seconds before each look for an appointment that may be on its way: a request that was cut off, or accepted for later (202)."""


NOT_FOUND: Final = Match()


@attrs.define(eq=False, repr=False)
class CreateRun:
    """One run over some bodies. Bodies are known by their index."""

    bodies: Sequence[AppointmentCreate] = attrs.field(converter=tuple[AppointmentCreate, ...])
    operation: str
    find: Callable[[Lookup, datetime], Awaitable[Sequence[Appointment]]]
    """Returns the appointments of a lookup that were created since then, the oldest first."""
    since: datetime = attrs.field(converter=require_aware)
    """When the first run over these bodies began."""
    concurrency: int | None
    default_concurrency: int
    on_progress: OnCreate | None = None
    known_ids: set[str] = attrs.field(factory=set[str])
    """Appointments that no further body may be matched with."""
    _outcomes: dict[int, CreateOutcome] = attrs.field(factory=dict[int, CreateOutcome], init=False)
    _failed: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        check_progress(self.on_progress)
        if self.since > datetime.now(UTC):
            raise ValueError("since is in the future by this machine's clock: it is when the first run began")
        plan_lookups(dict(enumerate(self.bodies)))  # raises for a body that cannot be looked for

    async def look(self) -> CreateResult:
        """Find what was created, and create nothing."""
        indexes = range(len(self.bodies))
        for index in self._record_found(indexes, await self._look_once(indexes)):
            self._record(index, "missing")
        return self._result()

    async def create(
        self, create: Callable[[AppointmentCreate], Awaitable[Appointment]], *, looks_first: bool
    ) -> CreateResult:
        """Create the bodies. If it `looks_first`, create only those that were not created before."""
        missing: Sequence[int] = range(len(self.bodies))
        if looks_first:
            missing = self._record_found(missing, await self._look(missing))
        unknown: dict[int, CoachingError] = {}

        def on_created(progress: Progress[int, Appointment]) -> None:
            index, error = progress.newest.item, progress.newest.error
            if error is None:
                self._record(index, "created", progress.newest.value)
            elif error.processed == "no":
                self._record(index, "failed", error=error)
            else:
                unknown[index] = error

        result = await self._bulk(lambda index: create(self.bodies[index]), missing, on_created)
        for index in result.not_started:
            self._record(index, "missing")
        found = await self._look(sorted(unknown))
        for index, error in unknown.items():
            match = found.get(index, NOT_FOUND)
            if match.appointment is None:
                self._record(index, "failed", error=error, candidates=match.candidates)
            else:
                self._record(index, "created", match.appointment, candidates=match.candidates)
        return self._result()

    async def _look(self, indexes: Sequence[int]) -> dict[int, Match]:
        """Return what was found for each body. Look again for those that are missing, because they may be on their way."""
        found: dict[int, Match] = {}
        missing = indexes
        for delay in DELAYS:
            if missing:
                await anyio.sleep(delay)
                found |= await self._look_once(missing)
                missing = [index for index in missing if index in found and found[index].is_missing]
        return found

    async def _look_once(self, indexes: Iterable[int]) -> dict[int, Match]:
        """Return what was found for each body. One whose lookup was not started is not in it."""
        found: dict[int, Match] = {}

        def on_found(progress: Progress[Lookup, Sequence[Appointment]]) -> None:
            lookup, error = progress.newest.item, progress.newest.error
            if error is not None:
                found.update(dict.fromkeys(lookup.indexes, Match(error=error)))
                return
            candidates = [each for each in progress.newest.result() if each.id not in self.known_ids]
            matches = match_all({index: self.bodies[index] for index in lookup.indexes}, candidates)
            self.known_ids.update(match.appointment.id for match in matches.values() if match.appointment)
            found.update(matches)

        lookups = plan_lookups({index: self.bodies[index] for index in indexes})
        await self._bulk(lambda lookup: self.find(lookup, self.since), lookups, on_found)
        return found

    def _record_found(self, indexes: Iterable[int], found: Mapping[int, Match]) -> Sequence[int]:
        """Record the outcomes of bodies, except for those that are certainly missing. Return these."""
        missing: list[int] = []
        for index in indexes:
            match = found.get(index)
            if match is None:
                self._record(index, "missing")
            elif match.is_missing:
                missing.append(index)
            else:
                error = match.error or (None if match.appointment else self._ambiguous(len(match.candidates)))
                self._record(index, "failed" if error else "existing", match.appointment, error, match.candidates)
        return missing

    def _ambiguous(self, candidates: int) -> OutcomeUnknown:
        error = OutcomeUnknown(
            f"{self.operation}: of several appointments that differ in details only, {candidates} exist, and it is not clear "
            "which. Look at the candidates of their outcomes, and create what is missing",
            processed="maybe",
        )
        error.operation = self.operation
        return error

    def _record(
        self,
        index: int,
        status: CreateStatus,
        appointment: Appointment | None = None,
        error: CoachingError | None = None,
        candidates: tuple[Appointment, ...] = (),
    ) -> None:
        outcome = CreateOutcome(
            self.bodies[index],
            appointment,
            error,
            status != "missing",
            index=index,
            status=status,
            candidates=candidates,
        )
        if appointment is not None:
            self.known_ids.add(appointment.id)
        self._outcomes[index] = outcome
        self._failed += error is not None
        if self.on_progress is not None and outcome.is_started:
            self.on_progress(CreateProgress(len(self._outcomes), self._failed, len(self.bodies), outcome))

    async def _bulk(
        self,
        function: Callable[[K], Awaitable[T]],
        items: Sequence[K],
        on_progress: Callable[[Progress[K, T]], object],
    ) -> BulkResult[K, T]:
        return await bulk(function, items, self.concurrency, on_progress, default_concurrency=self.default_concurrency)

    def _result(self) -> CreateResult:
        return CreateResult(tuple(outcome for _, outcome in sorted(self._outcomes.items())), self.since)
