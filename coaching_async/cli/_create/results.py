"""Results of a run, a row each: as a CSV file, and in words."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from coaching_async import CreateOutcome
from coaching_async._files import replace_file

__all__ = ["WORDS", "RowResult", "Status", "result_of", "summary", "write_results"]

Status: TypeAlias = Literal["created", "existing", "missing", "failed", "ambiguous"]
"""What became of a row; `missing` if it does not exist, and was not sent."""


@attrs.frozen
class RowResult:
    """What became of the row on a line of a plan."""

    line: int
    status: Status
    appointment_id: str = ""
    message: str = ""


def result_of(line: int, outcome: CreateOutcome) -> RowResult:
    """Return the result of a row from the outcome of its body."""
    appointment_id = "" if outcome.value is None else outcome.value.id
    if not outcome.candidates:
        return RowResult(line, outcome.status, appointment_id, "" if outcome.error is None else str(outcome.error))
    ids = " ".join(candidate.id for candidate in outcome.candidates)
    if outcome.value is None:
        message = f"some rows differ in details only, and it is not clear which of them exist: look at {ids}"
    else:
        message = f"there are more such appointments than rows, so some may be duplicates: {ids}"
    return RowResult(line, "ambiguous", appointment_id, message)


def summary(results: Sequence[RowResult], *, is_dry: bool) -> str:
    """Return how many rows there are of each status."""
    counts = Counter(result.status for result in results)
    words = {**WORDS, "missing": "would be created"} if is_dry else WORDS
    return ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])


WORDS: Final[Mapping[Status, str]] = {
    "created": "created",
    "existing": "already there",
    "missing": "not created",
    "ambiguous": "ambiguous",
    "failed": "failed",
}


def write_results(file: Path, results: Sequence[RowResult], delimiter: str) -> None:
    """Write the results to a CSV file, with the separator of the plan. The file is replaced as a whole. Raises `OSError`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(field.name for field in attrs.fields(RowResult))
    writer.writerows(attrs.astuple(result) for result in sorted(results, key=lambda each: each.line))
    replace_file(file, text.getvalue().encode("utf-8-sig"))  # without a mark spreadsheets guess
