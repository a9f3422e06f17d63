"""How a figure is taken: contenders in turns, medians, ratios in each turn, and goals."""

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import attrs
import cattrs

__all__ = [
    "ROOT",
    "Failed",
    "Figure",
    "Goal",
    "Measures",
    "Row",
    "Table",
    "alternate",
    "alternate_cases",
    "main",
    "number",
    "table",
]

ROOT: Final = Path(__file__).parent.parent

Measures: TypeAlias = dict[str, float]
"""Measures of one run of a contender, by names that end with the unit."""


class Failed(Exception):
    """A figure cannot be taken, for the reason in the message."""


@attrs.frozen
class Row:
    """A contender in one case, with the measures of its runs."""

    contender: str
    runs: tuple[Measures, ...]
    case: str = ""

    def median(self, measure: str) -> float:
        """Return the median of a measure over the runs."""
        return statistics.median(run[measure] for run in self.runs)

    def ratio(self, other: Self, measure: str) -> float:
        """Return the median of the ratios of each run to that of `other` in the same round.

        So what slows down a whole round does not matter. A row with one run is compared with each run of the other.
        """
        rounds = range(max(len(self.runs), len(other.runs)))
        return statistics.median(
            mine[measure] / its[measure]
            for _, mine, its in zip(rounds, cycle(self.runs), cycle(other.runs), strict=False)
        )


@attrs.frozen
class Goal:
    """A limit for a number: a lower one if `at_least`, otherwise an upper one."""

    text: str
    measured: float
    target: float
    at_least: bool = True

    @property
    def is_reached(self) -> bool:
        """Whether this run reached the goal."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    @property
    def verdict(self) -> str:
        """The result in words."""
        return "reached" if self.is_reached else "not reached"

    @property
    def sought(self) -> str:
        """The limit in words."""
        return f"{'≥' if self.at_least else '≤'} {number(self.target)}"

    def __str__(self) -> str:
        return f"{self.text}: {number(self.measured)} ({self.sought}: {self.verdict})"


@attrs.frozen
class Figure:
    """The result of one program. `measures[0]` is plotted, as bars."""

    key: str
    title: str
    about: str
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    goals: tuple[Goal, ...] = ()
    curves: tuple[str, ...] = ()
    """Measures that are plotted instead, over the cases. These begin with a number and end with what it counts."""
    answer: str = ""
    """What it means for a user, in a sentence or two."""

    @classmethod
    def from_json(cls, found: Any) -> Self:
        """Return a figure from the result of `attrs.asdict`."""
        return cattrs.structure(found, cls)

    def row(self, contender: str, case: str = "") -> Row:
        """Return the row of a contender in one case."""
        (row,) = (row for row in self.rows if (row.contender, row.case) == (contender, case))
        return row

    def median(self, contender: str, measure: str | None = None, case: str = "") -> float:
        """Return the median of a contender in one case."""
        return self.row(contender, case).median(measure or self.measures[0])

    def ratio(self, one: str, other: str, measure: str | None = None, case: str = "") -> float:
        """Return the ratio of `one` to `other` in one case."""
        return self.row(one, case).ratio(self.row(other, case), measure or self.measures[0])

    def with_answer(self, answer: str) -> Self:
        """Return the figure with what it means for a user."""
        return attrs.evolve(self, answer=answer)

    def with_goals(self, *goals: Goal) -> Self:
        """Return the figure with goals."""
        return attrs.evolve(self, goals=goals)


def alternate(
    contenders: Mapping[str, Callable[[], Measures]], rounds: int, case: str = "", *, warm_up: bool = True
) -> list[Row]:
    """Run the contenders in turns, so that other load affects all alike, after one unmeasured run of each."""
    return alternate_cases({case: contenders}, rounds, warm_up=warm_up)


def alternate_cases(
    cases: Mapping[str, Mapping[str, Callable[[], Measures]]], rounds: int, *, warm_up: bool = True
) -> list[Row]:
    """Run the contenders of several cases, which are compared with each other, in turns: each contender in all its cases."""
    runs = {(case, name): run for case, contenders in cases.items() for name, run in contenders.items()}
    if warm_up:
        for run in runs.values():
            run()
    found: dict[tuple[str, str], list[Measures]] = {key: [] for key in runs}
    names = [name for _, name in runs]
    # The speed of a machine changes from minute to minute, so what is compared runs one right after the other.
    order = sorted(runs.items(), key=lambda item: names.index(item[0][1]))
    for _ in range(rounds):
        for key, run in order:
            gc.collect()  # so that a contender does not pay for the garbage of the previous one
            found[key].append(run())
    return [Row(name, tuple(each), case) for (case, name), each in found.items()]


def number(value: float) -> str:
    """Return a number with three significant digits, or all digits before its decimal point."""
    if value != 0 and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


@attrs.frozen
class Table:
    """Rows of text, header first; the first `texts` columns are words, the others numbers."""

    texts: int
    lines: list[list[str]]


def table(figure: Figure) -> Table:
    """Return the results of a figure as a table."""
    cases = any(row.case for row in figure.rows)
    plotted, *others = figure.measures
    header = [*(["case"] if cases else []), "", plotted, "to ours", *others]
    ours = {row.case: row for row in reversed(figure.rows) if row.contender.startswith("ours")}
    return Table(
        2 if cases else 1,
        [
            header,
            *(
                [
                    *([row.case] if cases else []),
                    row.contender,
                    number(row.median(plotted)),
                    number(row.ratio(ours[row.case], plotted)),
                    *(number(row.median(measure)) if measure in row.runs[0] else "" for measure in others),
                ]
                for row in figure.rows
            ),
        ],
    )


def printed(figure: Figure) -> str:
    """Return a figure as text for a terminal."""
    found = table(figure)
    widths = [max(map(len, column)) for column in zip(*found.lines, strict=True)]
    rows = (
        "  ".join(
            cell.ljust(width) if nth < found.texts else cell.rjust(width)
            for nth, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in found.lines
    )
    return "\n".join([figure.title, *rows, *map(str, figure.goals)])


def main(measure: Callable[[bool], Figure], arguments: Iterable[str] | None = None) -> None:
    """Take one figure from the command line: print it, and write it to a file if requested."""
    parser = argparse.ArgumentParser(description=sys.modules[measure.__module__].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and less data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to put what was found")
    options = parser.parse_args(arguments if arguments is None else list(arguments))
    try:
        figure = measure(options.quick)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Failed as error:
        sys.exit(f"{sys.argv[0].rpartition('/')[2]}: {error}")
    print(printed(figure), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(attrs.asdict(figure)))
