"""Benchmarks and their report; no test depends on a measured time."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks import decode, fetch, handwritten, report
from benchmarks.__main__ import FIGURES, merged
from benchmarks.data import appointment, page
from benchmarks.harness import Failed, Figure, Goal, Row, alternate, alternate_cases, main
from benchmarks.processes import serving
from benchmarks.surroundings import machine
from coaching_async import Appointment, Page, from_dict

ROOT = Path(__file__).parents[2]

FIGURE = Figure(
    "walking",
    "Walking on",
    "What walking takes.",
    ("ms", "KiB"),
    (
        Row("ours", ({"ms": 1.0, "KiB": 3.0}, {"ms": 9.0, "KiB": 3.0}, {"ms": 2.0, "KiB": 3.0}), "uphill"),
        Row("ideal", ({"ms": 1.5},), "uphill"),
        Row("ours", ({"ms": 1.0, "KiB": 3.0},), "downhill"),
    ),
    (Goal("of the ideal", 0.75, 0.93), Goal("ms", 2.0, 2.0, at_least=False)),
    answer="Walking takes 2 ms.",
)
RESULTS = report.Results({"cores": "2"}, {"httpx": "0.28.1"}, (FIGURE,))


def test_contenders_take_turns_after_each_has_run_once_unmeasured():
    order: list[str] = []

    def contender(name: str):
        def run() -> dict[str, float]:
            order.append(name)
            return {"runs": float(len(order))}

        return run

    rows = alternate({name: contender(name) for name in "ab"}, rounds=2, case="here")

    assert "".join(order) == "ababab"
    assert rows == [
        Row("a", ({"runs": 3.0}, {"runs": 5.0}), "here"),
        Row("b", ({"runs": 4.0}, {"runs": 6.0}), "here"),
    ]


def test_a_contender_runs_its_cases_one_right_after_the_other():
    order: list[str] = []

    def runs(case: str):
        return {name: lambda name=name: order.append(name + case) or {"runs": 1.0} for name in "ab"}

    rows = alternate_cases({case: runs(case) for case in "12"}, rounds=2, warm_up=False)

    assert order == ["a1", "a2", "b1", "b2"] * 2
    assert [row.contender + row.case for row in rows] == ["a1", "b1", "a2", "b2"]


def test_a_round_that_is_slow_for_all_changes_no_ratio():
    ours, other, ideal = (
        Row(name, tuple({"ms": value} for value in values))
        for name, values in (("ours", (2.0, 20.0, 3.0)), ("other", (1.0, 10.0, 1.0)), ("ideal", (0.5,)))
    )

    assert ours.ratio(other, "ms") == 2.0
    assert other.ratio(ours, "ms") == 0.5
    assert ours.ratio(ideal, "ms") == 6.0
    assert attrs.evolve(FIGURE, rows=(ours, other), measures=("ms",)).ratio("ours", "other") == 2.0


def test_medians_are_shown_for_each_contender():
    assert FIGURE.median("ours", case="uphill") == 2.0
    assert FIGURE.ratio("ours", "ideal", case="uphill") == 2.0 / 1.5


def test_a_goal_is_reached_at_its_limit_and_on_its_side_of_it():
    assert [goal.verdict for goal in FIGURE.goals] == ["not reached", "reached"]
    assert attrs.evolve(FIGURE.goals[0], measured=0.93).is_reached


def test_each_page_and_each_appointment_has_ids_names_and_times_of_its_own():
    pages = [from_dict(Page[Appointment], json.loads(page(number, 100, 200))) for number in (1, 2)]
    items = [item for each in pages for item in each.entities]

    assert len({item.id for item in items}) == len({item.date_start for item in items}) == 200
    assert len({reference.id for item in items for reference in item.attendees}) == 200
    assert [(each.page_number, each.page_count, each.total) for each in pages] == [(1, 2, 200), (2, 2, 200)]


def test_an_appointment_has_every_field():
    made = attrs.asdict(from_dict(Appointment, json.loads(appointment(1))), recurse=False)
    assert [name for name, value in made.items() if value in (None, ())] == []


READERS = {
    "ours": lambda text: from_dict(Page[Appointment], json.loads(text)),
    "cattrs": decode.by_cattrs(),
    "pydantic": decode.by_pydantic(),
    "msgspec": decode.by_msgspec(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_all_contenders_decode_the_same(read: Callable[[bytes], object]):
    content = page(1, 3)
    model = handwritten.page(json.loads(content))
    assert plain(read(content), model) == plain(model, model)


def plain(value: Any, model: Any) -> Any:
    """Return the part of a value that the hand-written model has, as dicts, lists and scalars."""
    if attrs.has(type(model)):
        names = [field.name for field in attrs.fields(type(model))]
        return {name: plain(getattr(value, name), getattr(model, name)) for name in names}
    if isinstance(model, tuple):
        return [plain(*pair) for pair in zip(value, model, strict=True)]
    return value.value if isinstance(model, handwritten.Status) else value


@pytest.mark.real_time
@pytest.mark.parametrize("one", fetch.ONES)
def test_a_contender_has_imported_nothing_of_another(one: str):
    ask = """
import asyncio, sys
from benchmarks.fetcher import CONTENDERS
from benchmarks.service import Service
asyncio.run(CONTENDERS[sys.argv[1]](Service(sys.argv[2], 0), "httpx", pages=1, size=3, concurrency=1, kept=True))
print(*sys.modules)
"""
    with serving(items=3) as service:
        command = [sys.executable, "-c", ask, one, service.url]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    strangers = {"starlette", "aiohttp", "httpx2", "msgspec", "pydantic", "matplotlib"}
    others = {"coaching_async"} if one == "hand-written" else {"benchmarks.handwritten"}
    assert (strangers | others).isdisjoint(done.stdout.split())


def test_a_figure_is_taken_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`make bench-quick` takes each figure this way."""
    found = tmp_path / "found.json"
    asked: list[bool] = []

    def measure(quick: bool) -> Figure:
        asked.append(quick)
        return FIGURE

    main(measure, ["--quick", "--json", str(found)])

    said = capsys.readouterr()
    assert asked == [True]
    assert Figure.from_json(json.loads(found.read_text())) == FIGURE
    assert said.err == ""
    assert said.out.startswith(f"{FIGURE.title}\n")
    assert said.out.endswith(f"{FIGURE.goals[-1]}\n")


def test_every_figure_is_a_program():
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "main(measure)" in path.read_text()}
    assert programs == set(FIGURES)


def test_a_figure_that_cannot_be_taken_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]):
    def fails(_: bool) -> Figure:
        raise Failed("no network")

    def is_interrupted(_: bool) -> Figure:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as failed:
        main(fails, [])
    assert str(failed.value).endswith(": no network")
    with pytest.raises(SystemExit) as interrupted:
        main(is_interrupted, [])
    assert interrupted.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a page that has nothing between the marks yet."""
    for folder in ("benchmarks", "docs"):
        (tmp_path / folder).mkdir()
    parts = "Between.\n".join(f"{mark}\n{report.END}\n" for mark in report.PARTS)
    (tmp_path / "docs" / "performance.md").write_text(f"# Before\n\n{parts}\nAfter.\n")
    return tmp_path


def test_a_report_can_be_read_and_written_again_without_a_difference(root: Path):
    report.write(RESULTS, root)
    first = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert report.read(root) == RESULTS

    report.write(report.read(root), root)

    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == first
    assert {path.name for path in first} == {"results.json", "performance.md", "walking.svg"}


def test_a_report_writes_between_the_marks_and_nowhere_else(root: Path):
    report.write(RESULTS, root)
    text = (root / "docs" / "performance.md").read_text()
    first, second = report.PARTS
    assert text.startswith(
        f"# Before\n\n{first}\n\n- Walking takes 2 ms. [More](#walking-on)\n\n{report.END}\nBetween.\n{second}\n"
    )
    assert text.endswith(f"{report.END}\n\nAfter.\n")
    assert "| [Walking on](#walking-on) | of the ideal | 0.75 | ≥ 0.93 | not reached |" in text
    assert "| case |  | ms | to ours | KiB |\n| --- | --- | --: | --: | --: |\n" in text
    assert (
        "| uphill | ours | 2 | 1 | 3 |\n| uphill | ideal | 1.5 | 0.75 |  |\n| downhill | ours | 1 | 1 | 3 |\n" in text
    )
    assert "![Walking on: ms](performance/walking.svg)" in text


def test_curves_are_plotted_over_the_numbers_of_the_cases(tmp_path: Path):
    rows = tuple(Row("ours", ({"ms": 3.0 * size, "KiB": 1.0},), f"{size} processes") for size in (2, 4))
    figure = Figure("growing", "Growing", "", ("ms", "KiB"), rows, curves=("ms", "KiB"))

    for name in ("one", "another"):
        report.plot(figure, tmp_path / name)

    text = (tmp_path / "one").read_text()
    assert text == (tmp_path / "another").read_text()
    assert all(f">{label}</text>" in text for label in ("2", "4", "ms", "KiB", "processes"))


def test_a_figure_that_is_taken_again_takes_the_place_of_its_last_results():
    before = report.Results(
        {"cores": "2"}, {"httpx": "1"}, tuple(attrs.evolve(FIGURE, key=key) for key in ("decode", "rate"))
    )
    again = attrs.evolve(FIGURE, key="rate", title="Again")
    new = attrs.evolve(FIGURE, key="fetch")
    found = report.Results({"cores": "2"}, {"httpx": "1", "coredis": "6"}, (new, again))

    assert merged(before, found) == attrs.evolve(found, figures=(again, new, before.figures[0]))


@pytest.mark.parametrize("changes", [{"machine": {"cores": "4"}}, {"versions": {"httpx": "2"}}, {"versions": {}}])
def test_figures_of_other_machines_and_versions_are_not_mixed(changes: dict[str, dict[str, str]]):
    before = report.Results({"cores": "2"}, {"httpx": "1"}, ())
    with pytest.raises(SystemExit, match=r"^take all figures again: .* another (cores|httpx)$"):
        merged(before, attrs.evolve(before, **changes))


def test_the_page_has_the_results_of_the_last_run():
    results = report.read(ROOT)
    assert [figure.key for figure in results.figures] == list(FIGURES)
    text = (ROOT / "docs" / "performance.md").read_text()
    assert all(part(results) in text for part in report.PARTS.values())
    assert report.answers(results).count("\n") == 4
    assert {path.stem for path in (ROOT / "docs" / "performance").glob("*.svg")} == set(FIGURES)


def test_a_report_states_four_facts_about_the_machine():
    assert set(machine()) == set(report.read(ROOT).machine) == {"cores", "processor", "system", "Python"}
