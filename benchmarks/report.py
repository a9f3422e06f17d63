"""The report: results.json, and the page with its tables and plots.

    python -m benchmarks.report

writes page and plots again from results.json.
"""

import json
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import attrs
import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from .harness import ROOT, Figure, Row, Table, number, table

__all__ = ["Results", "answers", "plot", "read", "tables", "write"]

RESULTS: Final = Path("benchmarks") / "results.json"
PAGE: Final = Path("docs") / "performance.md"
PLOTS: Final = Path("docs") / "performance"
END = "<!-- end of what make bench has written -->"
OURS, OTHERS = "#c2410c", "#94a3b8"


@attrs.frozen
class Results:
    """The results of a whole run."""

    machine: dict[str, str]
    versions: dict[str, str]
    figures: tuple[Figure, ...]


def read(root: Path) -> Results:
    """Return the results that were written last."""
    found: dict[str, Any] = json.loads((root / RESULTS).read_text())
    return Results(found["machine"], found["versions"], tuple(map(Figure.from_json, found["figures"])))


def write(results: Results, root: Path) -> None:
    """Write results, plots, and the parts of the page between the marks."""
    (root / RESULTS).write_text(json.dumps(attrs.asdict(results), indent=1, ensure_ascii=False) + "\n")
    render(results, root)


def render(results: Results, root: Path) -> None:
    """Write the page and its plots."""
    text = (root / PAGE).read_text()
    for begin, part in PARTS.items():
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(END)
        text = f"{before}{begin}\n\n{part(results)}\n{END}{after}"
    (root / PAGE).write_text(text)
    (root / PLOTS).mkdir(exist_ok=True)
    for figure in results.figures:
        plot(figure, root / PLOTS / f"{figure.key}.svg")


def answers(results: Results) -> str:
    """Return what the figures mean for a user, as Markdown."""
    return "".join(f"- {figure.answer} [More](#{anchor(figure)})\n" for figure in results.figures if figure.answer)


def tables(results: Results) -> str:
    """Return the results, as Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    return "\n".join(
        [
            f"Machine: {machine}.  ",
            f"Versions: {versions}.",
            "",
            "### Numbers to reach",
            "",
            *markdown(Table(2, [["figure", "", "measured", "to reach", ""], *goals(results)])),
            *(line for figure in results.figures for line in section(figure)),
        ]
    )


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "<!-- written by make bench: answers -->": answers,
    "<!-- written by make bench: tables -->": tables,
}
"""The parts of the page that a run writes, by the marks before them."""


def goals(results: Results) -> list[list[str]]:
    """Return all goals, as rows of a table."""
    return [
        [f"[{figure.title}](#{anchor(figure)})", goal.text, number(goal.measured), goal.sought, goal.verdict]
        for figure in results.figures
        for goal in figure.goals
    ]


def anchor(figure: Figure) -> str:
    """Return the anchor of the figure's heading."""
    return re.sub(r"[^a-z0-9-]", "", figure.title.lower().replace(" ", "-"))


def section(figure: Figure) -> list[str]:
    """Return one figure as Markdown."""
    plotted = f"![{figure.title}: {', '.join(figure.curves or figure.measures[:1])}](performance/{figure.key}.svg)"
    return [f"### {figure.title}", "", figure.about, "", *markdown(table(figure)), plotted, ""]


def markdown(found: Table) -> list[str]:
    """Return a table and an empty line."""
    header, *rows = found.lines
    rule = ["---"] * found.texts + ["--:"] * (len(header) - found.texts)
    return [*(f"| {' | '.join(line)} |" for line in (header, rule, *rows)), ""]


def plot(figure: Figure, path: Path) -> None:
    """Plot a figure; equal figures give equal bytes."""
    with mpl.rc_context({"svg.hashsalt": figure.key, "svg.fonttype": "none", "font.size": 9}):
        canvas = curves(figure) if figure.curves else bars(figure)
        for each in canvas.axes:
            each.spines[["top", "right"]].set_visible(False)
        canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def bars(figure: Figure) -> Canvas:
    """Return bars of the first measure, cases one below the other."""
    measure = figure.measures[0]
    cases = [(case, list(rows)) for case, rows in groupby(figure.rows, key=lambda row: row.case)]
    heights = [len(rows) + 1.2 for _, rows in cases]
    canvas = Canvas(figsize=(6, 0.3 * sum(heights) + 0.4), layout="constrained")
    axes = canvas.subplots(len(cases), squeeze=False, height_ratios=heights)[:, 0]
    for (case, rows), each in zip(cases, axes, strict=True):
        drawn = each.barh([row.contender for row in rows], [row.median(measure) for row in rows], color=colors(rows))
        each.bar_label(drawn, [number(row.median(measure)) for row in rows], padding=3)
        each.invert_yaxis()
        each.margins(x=0.12)
        each.set_title(f"{case}: {measure}" if case else measure, loc="left", fontsize=9)
    return canvas


def curves(figure: Figure) -> Canvas:
    """Return curves of some measures over the numbers of the cases, one below the other."""
    numbers = [int(row.case.split()[0]) for row in figure.rows]
    canvas = Canvas(figsize=(6, 1.6 * len(figure.curves) + 0.4), layout="constrained")
    axes = canvas.subplots(len(figure.curves), squeeze=False, sharex=True)[:, 0]
    for measure, each in zip(figure.curves, axes, strict=True):
        values = [row.median(measure) for row in figure.rows]
        each.plot(numbers, values, color=OURS, marker="o")
        each.set_xscale("log", base=2)
        each.set_xticks(numbers, map(str, numbers))
        each.set_ylim(0, 1.15 * max(values))
        each.set_title(measure, loc="left", fontsize=9)
    axes[-1].set_xlabel(figure.rows[-1].case.split()[-1])
    return canvas


def colors(rows: list[Row]) -> list[str]:
    """Return the colors of the rows; those of this client stand out."""
    return [OURS if row.contender.startswith("ours") else OTHERS for row in rows]


if __name__ == "__main__":
    render(read(ROOT), ROOT)
