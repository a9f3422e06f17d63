"""The HTML page of a report: one file without scripts, which requests nothing."""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Final
from unicodedata import combining, normalize

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from . import _words as words
from ._charts import Series, bar_chart
from ._figures import NEXT_DAYS, Counts, FacilitatorFigures, Figures, Week
from ._file import GENERATOR

__all__ = ["page_of"]

PACKAGE: Final = "coaching_async.report"

MAX_WEEKS_PER_TABLE: Final = 13
"""Weeks side by side: a quarter of a year, which fits on a sheet of paper."""

MAX_OVERDUE: Final = 100
"""Overdue appointments that are listed. The page says how many more there are."""

OUTCOMES: Final = {"completed": "Completed", "overdue": "Overdue", "planned": "Still to come", "other": "Other"}
"""Outcomes in the words of the page. `still to come` is wider than `planned`: the week may be half over."""

DELAYS: Final = {
    "Within an hour": timedelta(hours=1),
    "Within a day": timedelta(days=1),
    f"2 {words.DASH} 3 days": timedelta(days=3),
    f"4 {words.DASH} 7 days": timedelta(days=7),
    f"8 {words.DASH} 14 days": timedelta(days=14),
    "Later": timedelta.max,
}
"""The longest delay of each bar, its end included."""

NO_FACILITATOR: Final = "No facilitator"


def page_of(title: str | None, figures: Figures, names: Mapping[str, str], rows_left_out: int) -> str:
    """Return the page. Texts of people are escaped in the template."""
    style = (files(PACKAGE) / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        csp=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704 # ours
        generator=Markup(GENERATOR),  # noqa: S704 # ours
        title=title or _title_of(figures, names),
        is_titled=bool(title),
        figures=figures,
        days=Week(figures.weeks[0].first, figures.weeks[-1].last),
        name=partial(_name, names),
        level=_level,
        outcomes=_outcomes_of(figures.counts),
        week_chart=_markup(_week_chart(figures)) if figures.counts.total else {},
        week_tables=list(_week_tables(figures, names)),
        delays=_delay_counts(figures.delays),
        delay_chart=_markup(_delay_chart(figures)) if figures.delays else {},
        has_facilitators=any(person.facilitated for person in figures.people),
        next_days=NEXT_DAYS,
        people=sorted(figures.people, key=lambda person: _sort_key(names, person.user_id)),
        overdue=figures.overdue[:MAX_OVERDUE],
        nameless=sum(names.get(user_id, user_id) == user_id for user_id in names),
        rows_left_out=rows_left_out,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({name: getattr(words, name) for name in words.__all__})
    return environment.get_template("page.html")


def _title_of(figures: Figures, names: Mapping[str, str]) -> str:
    people = figures.people
    return _name(names, people[0].user_id) if len(people) == 1 else words.plural(len(people), "person", "people")


def _name(names: Mapping[str, str], user_id: str | None) -> str:
    return NO_FACILITATOR if user_id is None else names.get(user_id, "").strip() or user_id


def _sort_key(names: Mapping[str, str], user_id: str | None) -> tuple[bool, str]:
    letters = normalize("NFKD", _name(names, user_id).casefold())
    return user_id is None, "".join(
        letter for letter in letters if not combining(letter)
    )  # letters with accents stand beside those without


def _level(counts: Counts) -> str:
    """Return the style of a completion rate: from "rate-0" (under a quarter) to "rate-4" (all)."""
    return f"rate-{4 * counts.completed // counts.due}" if counts.due else ""


def _outcomes_of(counts: Counts) -> Mapping[str, str]:
    """Return the outcomes that the page shows. The last one is there only if there are such appointments."""
    return {name: label for name, label in OUTCOMES.items() if name != "other" or counts.other}


def _week_chart(figures: Figures) -> Mapping[str, str]:
    labels = [f"W{week.number}\n{words.day(week.first)}" for week in figures.weeks]
    outcomes = _outcomes_of(figures.counts)
    return bar_chart(labels, [Series(name, [getattr(each, name) for each in figures.by_week]) for name in outcomes])


def _delay_chart(figures: Figures) -> Mapping[str, str]:
    return bar_chart(list(DELAYS), [Series("completed", list(_delay_counts(figures.delays).values()))])


def _delay_counts(delays: Iterable[timedelta]) -> Mapping[str, int]:
    counts = dict.fromkeys(DELAYS, 0)
    for delay in delays:
        counts[next(label for label, longest in DELAYS.items() if delay <= longest)] += 1
    return counts


@attrs.frozen
class WeekTable:
    """The weeks that stand side by side in a table, and the facilitators with appointments in them."""

    weeks: tuple[Week, ...]
    rows: list[tuple[FacilitatorFigures, tuple[Counts, ...]]]


def _week_tables(figures: Figures, names: Mapping[str, str]) -> Iterable[WeekTable]:
    facilitators = sorted(figures.facilitators, key=lambda each: _sort_key(names, each.user_id))
    tables = math.ceil(len(figures.weeks) / MAX_WEEKS_PER_TABLE)
    size = math.ceil(len(figures.weeks) / tables)  # so that the last table is about as wide as the others
    for start in range(0, len(figures.weeks), size):
        part = slice(start, start + size)
        rows = [(each, each.weeks[part]) for each in facilitators]
        shown = [row for row in rows if any(counts.total for counts in row[1])]
        if shown:
            yield WeekTable(figures.weeks[part], shown)


def _markup(chart: Mapping[str, str]) -> Mapping[str, Markup]:
    return {size: Markup(svg) for size, svg in chart.items()}  # noqa: S704 # drawn here, of labels that are ours
