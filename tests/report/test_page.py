"""The page of a report: complete, without scripts and requests, and with every text of people escaped."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from matplotlib import rc_context, rcParams

from coaching_async import Interval
from coaching_async.report import Figures
from coaching_async.report import _words as words
from coaching_async.report._charts import Series, bar_chart
from coaching_async.report._page import page_of

from .made_up import NOW, appointment, figures

VOID = {"meta"}


class Page(HTMLParser):
    """A page: its elements, its text, and whether each element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def charts() -> None:
    """Marks a test that looks at the charts."""


@pytest.fixture(autouse=True)
def without_charts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no charts for the other tests, because drawing takes nearly all of their time."""
    if "charts" not in request.fixturenames:
        monkeypatch.setattr("coaching_async.report._page.bar_chart", lambda *_: {})


def page(
    found: Figures, names: dict[str, str] | None = None, title: str | None = "Support", rows_left_out: int = 0
) -> Page:
    return Page(page_of(title, found, {"p1": "Ada Lovelace", "f1": "Grace Hopper"} | (names or {}), rows_left_out))


def some(count: int = 8) -> Figures:
    statuses = ["Completed", "Scheduled", "Completed", "InvalidSchedule"]
    return figures(
        *(
            appointment(
                number,
                datetime(2026, 11, 2, 9, tzinfo=UTC) + timedelta(days=3 * number),
                statuses[number % 4],
                is_overdue=number % 3 == 1,
                after=timedelta(hours=5 * number),
                name=f"Review {number}",
            )
            for number in range(count)
        ),
        planned=[appointment(99, NOW + timedelta(days=1), "Scheduled")],
    )


def test_the_page_requests_nothing_and_runs_nothing(charts: None):
    html = page_of("Support", some(), {}, 0)
    elements = Page(html).elements

    tags = {tag for tag, _ in elements}
    assert not tags & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "input",
        "a",
        "image",
        "use",
        "base",
    }
    names = {name for _, attributes in elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {
        "src",
        "href",
        "xlink:href",
        "style",
        "action",
    }
    assert not re.search(r"url\(|@import|https?:", html)
    policy = next(each["content"] for tag, each in elements if tag == "meta" and each.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_the_totals_are_said_in_words():
    found = page(figures(*(appointment(number, NOW, status, is_overdue=late) for number, (status, late) in enumerate(
        [("Completed", False)] * 3 + [("Scheduled", True), ("Scheduled", False)]
    ))))  # fmt: skip

    assert "75% of the appointments that were due are completed: 3 of 4. One is overdue." in found.text
    assert "Still to come 1 planned or in progress" in found.text


def test_people_are_named_and_an_id_stands_for_a_name_that_is_gone():
    text = page(some(), {"f1": "f1"}).text

    assert "Ada Lovelace" in text
    assert "1 person has no name any more" in text
    assert "Grace" not in text


def test_texts_of_people_are_escaped_and_isolated():
    name = '<script>alert(1)</script>\u202eevil & "Co" 🦊'
    late = appointment(1, NOW, "Scheduled", is_overdue=True, name="</style><img src=x onerror=alert(1)>")
    html = page_of(name, figures(late), {"p1": name, "f1": name}, 0)

    found = Page(html)

    assert not {"script", "img"} & {tag for tag, _ in found.elements}
    assert "</style><img src=x onerror=alert(1)>" in found.text
    assert f"<bdi>{name.translate({60: '&lt;', 62: '&gt;', 38: '&amp;', 34: '&#34;'})}</bdi>" in html


AWKWARD = [
    "",
    "  ",
    "\0",
    "\ud800",
    "\x1b[31m",
    "\u202eabc",
    "\u2028",
    "{{ 7 * 7 }}{% raw %}",
    "--><!--",
    "]]>",
    "&lt;b&gt;",
    "\"' onmouseover=alert(1) x='",
    "</table></main>",
    "x" * 10_000,
    "\r\n\t",
    "\ufeff",
    "\U0001f98a\u200d\U0001f525",
    "\u0645\u062d\u0645\u062f",
]


def test_any_text_of_people_makes_a_page():
    found = figures(
        *(
            appointment(number, NOW, text, is_overdue=number % 2 == 0, name=text, facilitator=f"f{number}")
            for number, text in enumerate(AWKWARD * 2)
        ),
        people=[f"p{number}" for number in range(len(AWKWARD))],
    )
    names = {f"{role}{number}": text for number, text in enumerate(AWKWARD) for role in "pf"}

    for title in AWKWARD:
        html = page_of(title, found, names, 0)
        html.encode(errors="replace").decode()
    shown = Page(html.replace("\0", "")).text

    assert "{{ 7 * 7 }}{% raw %}" in shown
    assert "&lt;b&gt;" in shown
    assert "f0" in shown  # its name is empty


def test_an_empty_report_says_so_and_still_lists_the_people():
    found = page(figures(planned=[appointment(1, NOW + timedelta(days=30), "Scheduled")]))

    assert "No coaching appointment starts in this time, for any of these people." in found.text
    assert "Wed 23 Dec 2026, 12:00" in found.text
    assert "svg" not in {tag for tag, _ in found.elements}
    assert "Completion by facilitator" not in found.text


def test_nothing_due_is_no_rate():
    found = page(figures(appointment(1, NOW + timedelta(days=3), "Scheduled", is_overdue=False)))

    assert "1 appointment, none of which is due yet." in found.text
    assert "0%" not in found.text.replace("50%", "")


def test_what_was_asked_and_left_out_is_on_the_page():
    berlin = ZoneInfo("Europe/Berlin")
    text = page(figures(tz=berlin, interval=Interval.month(2026, 11, berlin)), rows_left_out=3).text

    assert f"1 {words.DASH} 30 November 2026 · 1 person" in text
    assert "Sun 1 Nov 2026, 00:00 to Tue 1 Dec 2026, 00:00, the end excluded" in text
    assert "Mon 23 Nov 2026, 13:00" in text
    assert "Europe/Berlin" in text
    assert "3 appointments could not be read, and are in none of the figures." in text


def test_each_chart_is_drawn_for_both_widths_with_text_as_text_and_its_numbers_are_in_a_table(charts: None):
    found = page(some())

    charts = [each for tag, each in found.elements if tag == "svg"]
    assert [chart["class"] for chart in charts] == ["wide", "narrow"] * 2
    assert all(chart["aria-hidden"] == "true" for chart in charts)
    assert "W45" in found.text
    assert "2026, week 45" in found.text
    fills = {each["fill"] for tag, each in found.elements if "fill" in each}
    assert (
        {"var(--completed)", "var(--overdue)"} <= fills <= {"none"} | {fill for fill in fills if fill and "var" in fill}
    )


def test_settings_that_the_application_has_made_for_its_own_charts_are_kept_and_do_not_count():
    series = [Series("completed", [3, 0, 12_000])]
    plain = bar_chart(["a", "b", "c"], series)

    with rc_context({"svg.fonttype": "path", "axes.grid": True, "font.size": 30}):
        assert bar_chart(["a", "b", "c"], series) == plain
        assert rcParams["svg.fonttype"] == "path"

    assert ">12,000</text>" in plain["wide"]


def test_a_year_and_five_hundred_facilitators_fit_into_tables_of_a_quarter():
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    year = figures(
        *(
            appointment(number, start + timedelta(hours=17 * number), facilitator=f"f{number}", is_overdue=False)
            for number in range(500)
        ),
        interval=Interval.parse("2026-01-01/2026-12-31"),
    )

    html = page_of("All", year, {f"f{number}": f"Facilitator {number}" for number in range(500)}, 0)

    assert len(year.weeks) == 53
    headers = re.findall(r"<thead><tr><th scope=\"col\">Facilitator.*?</thead>", html)
    assert [len(re.findall(r">W\d", header)) for header in headers] == [11, 11, 11, 11, 9]
    assert len(html) < 1_000_000


def test_a_page_says_how_many_overdue_appointments_it_does_not_list():
    late = figures(*(appointment(number, NOW, "Scheduled", is_overdue=True) for number in range(140)))

    assert "40 more are not listed." in page(late).text


@pytest.mark.parametrize(
    "part, whole, shown",
    [(0, 0, words.DASH), (0, 9, "0%"), (9, 9, "100%"), (1, 1000, "1%"), (999, 1000, "99%"), (2, 3, "67%")],
)
def test_only_all_is_a_hundred_percent(part: int, whole: int, shown: str):
    assert words.percent(part, whole) == shown


@pytest.mark.parametrize(
    "minutes, shown",
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (119, "119 minutes"),
        (120, "2 hours"),
        (47 * 60, "47 hours"),
        (2880, "2 days"),
    ],
)
def test_durations_are_in_their_largest_unit(minutes: int, shown: str):
    assert words.duration(timedelta(minutes=minutes)) == shown
