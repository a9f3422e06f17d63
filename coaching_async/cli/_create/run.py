"""One run of the command: checks the rows, finds what is there already, and creates the rest."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from coaching_async import AppointmentCreate, CoachingClient, CoachingError, CreateOutcome, CreateProgress
from coaching_async.cli._shared_state import Shared

from .journal import Journal
from .people import faults_of, find_people, to_body
from .plan import Fault, Plan
from .results import RowResult, result_of

__all__ = ["Run"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Every appointment of the service was created since."""


class Run:
    """One run over the rows of a plan. Rows and bodies are known by their index."""

    def __init__(
        self,
        path: Path,
        plan: Plan,
        since: datetime | None,
        *,
        is_dry: bool,
        show_progress: Callable[[int, int], object],
        shared: Shared,
    ) -> None:
        self.journal: Final = Journal(path, since)
        self.faults: list[Fault] = list(plan.faults)
        self.bodies: Sequence[AppointmentCreate] = ()
        self.results: dict[int, RowResult] = {}
        self._plan = plan
        self._is_dry = is_dry
        self._show_progress = show_progress
        self._shared = shared

    async def __call__(self) -> None:
        """Run. If the rows have faults, only `faults` is set."""
        try:
            client = CoachingClient.from_env(shared_state=self._shared.state)
        except CoachingError:
            if self.faults:
                return
            raise
        async with self._shared.opened(client):
            await self._check(client)
            if self.faults:
                return
            if self._is_dry:
                self.journal.read()
                await self._find(client)
                return
            with self.journal:
                await self._create(client, await self._find(client))

    def kept(self) -> str:
        """Return what a message about a failure or an interruption says of the rows that were created."""
        created = sum(result.status == "created" for result in self.results.values())
        total = len(self._plan.rows)
        return f"; {created} of {total} appointments were created: run it again to create the rest" if created else ""

    def all_results(self) -> Sequence[RowResult]:
        """Return a result for each row. One that was not reached is missing."""
        return [self.results.get(index) or RowResult(row.line, "missing") for index, row in enumerate(self._plan.rows)]

    async def _check(self, client: CoachingClient) -> None:
        rows = self._plan.rows
        try:
            people = await find_people(client, rows)
        except CoachingError:
            if not self.faults:
                raise
            return
        self.faults += faults_of(rows, people)
        if not self.faults:
            self.bodies = [to_body(row, people) for row in rows]

    async def _find(self, client: CoachingClient) -> Sequence[int]:
        """Find what is there already. Return the rows that are missing."""
        claimed = self.journal.claim(self.bodies)
        for index, id_ in claimed.items():
            self.results[index] = RowResult(self._plan.rows[index].line, "existing", id_, "created by an earlier run")
        left = [index for index in range(len(self.bodies)) if index not in claimed]
        found = await client.appointments.find_created_many(
            [self.bodies[index] for index in left],
            since=self.journal.since or EPOCH,
            exclude_ids=tuple(claimed.values()),
        )
        missing: list[int] = []
        for index, outcome in zip(left, found.outcomes, strict=True):
            if outcome.status == "missing":
                missing.append(index)
            elif outcome.error is not None and not outcome.candidates:
                raise outcome.error  # what cannot be looked for is not created
            else:
                self._record(index, outcome)
        return missing

    async def _create(self, client: CoachingClient, missing: Sequence[int]) -> None:
        def on_progress(progress: CreateProgress) -> None:
            self._record(missing[progress.newest.index], progress.newest)
            self._show_progress(progress.done, len(missing))

        # An earlier run may have been killed while its last requests were on their way: `create_many` waits for these.
        await client.appointments.create_many(
            [self.bodies[index] for index in missing],
            since=(self.journal.since or EPOCH) if self.journal.is_rerun else None,
            exclude_ids=tuple(result.appointment_id for result in self.results.values() if result.appointment_id),
            on_progress=on_progress,
        )

    def _record(self, index: int, outcome: CreateOutcome) -> None:
        self.results[index] = result_of(self._plan.rows[index].line, outcome)
        if outcome.value is not None and not self._is_dry:
            self.journal.add(self.bodies[index], outcome.value.id)
