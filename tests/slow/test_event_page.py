"""The example's page in Chromium: what its user sees while the network, the server or the browser fails.

Without Chromium on the machine these tests are skipped.
"""

import base64
import functools
import importlib.util
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from coaching_async import AppointmentStatus, CoachingClient, Notification, NotificationAction, UserReference
from coaching_async.fanout import Missed
from coaching_async.integrations.fastapi import EventStream, add_problem_responses, lifespan
from coaching_async.sandbox import Sandbox
from tests.support.browser import CHROMIUM, Chromium, Tab
from tests.support.cli import environment
from tests.support.fault_server import wait_until
from tests.support.in_thread import in_thread
from tests.support.network import Network
from tests.support.notifications import FedStream

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: tests/slow/programs.sh")

PROGRAM = Path(__file__).parents[2] / "docs" / "examples" / "team_page" / "main.py"
HEADERS = {"Authorization": f"Basic {base64.b64encode(b'me:secret').decode()}"}
WAKES = "const now = Date.now; window.slept = 0; Date.now = () => now() + window.slept;"
"""A clock of the page that jumps, as it does when a computer wakes."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=100, users=8) as sandbox:
        yield sandbox


class Example:
    """The example application, with a stream that the test feeds."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("team_page", PROGRAM)
        assert spec is not None
        assert spec.loader is not None
        self.program: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        self.streams: list[FedStream] = []
        self.made = 0

    async def listen(self, client: CoachingClient) -> AsyncIterator[Notification]:
        await self.program.read_team(client)
        self.streams.append(FedStream())
        return self.streams[-1]

    @property
    def app(self) -> Any:
        """The application. It is new, as after a restart, each time."""
        app = FastAPI(lifespan=lifespan(listen=self.listen))
        app.routes.extend(self.program.app.routes)
        add_problem_responses(app)
        return app

    @property
    def ids(self) -> list[str]:
        return list(self.program.people)

    def happens(self, count: int = 1, **fields: Any) -> list[str]:
        """Make notifications, and return their names."""
        made = range(self.made + 1, self.made + 1 + count)
        self.made += count
        names = [fields.pop("name", None) or f"Event {number}" for number in made]
        self.streams[-1].feed_from_thread(
            *(
                Notification(id=f"n{number}", name=name, user=UserReference(id=self.ids[number % 8]), **fields)
                for number, name in zip(made, names, strict=True)
            )
        )
        return names


@pytest.fixture
def example(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Example:
    team = next(iter(sandbox.state.teams.values()))["name"]
    for name, value in {**environment(sandbox), "PAGE_PASSWORD": "secret", "COACHING_TEAM": team}.items():
        monkeypatch.setenv(name, value)
    return Example()


@pytest.fixture
def network(example: Example) -> Iterator[Network]:
    with in_thread(example.app) as url, Network(url) as network:
        yield network


@pytest.fixture
def tab(chromium: Chromium, network: Network) -> Iterator[Tab]:
    """The page, live."""
    with chromium.tab(headers=HEADERS) as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WAKES)
        tab.open(network.url)
        tab.wait(STATE, lambda state: state == "Live")
        yield tab


STATE = "document.getElementById('state')?.textContent"
EVENTS = "[...document.querySelectorAll('#feed strong')].map((each) => each.textContent).reverse()"
MISSED = "(document.getElementById('missed').hidden ? '' : document.querySelector('#missed p').textContent)"


def shows(tab: Tab, names: list[str]) -> None:
    assert tab.wait(EVENTS, lambda shown: len(shown) >= len(names)) == names


def is_live(tab: Tab) -> None:
    tab.wait(STATE, lambda state: state == "Live")


# What is shown


def test_events_appear_as_they_come_with_names_and_without_complaints(tab: Tab, example: Example):
    assert "Nothing has happened" in tab.text("main")
    assert tab.text("h1") == f"Coaching {example.program.os.environ['COACHING_TEAM']}"
    names = example.happens(
        3, action_type=NotificationAction.STATUS_CHANGE, status=AppointmentStatus.COMPLETED, length_in_minutes=30
    )

    shows(tab, names)
    first = tab.text("#feed li:last-child")
    assert example.program.people[example.ids[1]] in first
    assert "completed" in first
    assert "30 min" in first
    assert tab.value("document.querySelectorAll('#next li').length") > 0
    assert tab.complaints == []


def test_texts_of_people_are_text(tab: Tab, example: Example):
    name = '<img src=x onerror=alert(1)> \u202eevil & "Co"'
    example.happens(name=name)

    shows(tab, [name])
    assert tab.value("document.querySelectorAll('img').length") == 0
    assert tab.value("document.querySelector('#feed strong bdi').textContent") == name
    assert tab.complaints == []


def test_the_policy_refuses_scripts_and_styles_that_are_not_the_pages_own(tab: Tab):
    tab.value(
        """(() => {
          const script = document.createElement("script");
          try { script.textContent = "window.ran = 1"; document.body.append(script); } catch {}
          try { document.body.insertAdjacentHTML("beforeend", "<p style='color: red' onclick='1'>"); } catch {}
          return fetch("https://example.com").catch(() => 0).then(() => 0);
        })()"""
    )

    assert tab.value("window.ran") is None
    assert tab.complaints
    assert all("has been blocked" in each or "Refused" in each for each in tab.complaints)


def test_the_page_keeps_the_newest_events(tab: Tab, example: Example):
    for _ in range(5):
        names = example.happens(50)
        tab.wait(f"document.querySelector('#feed strong')?.textContent === {json.dumps(names[-1])}")

    assert tab.value("document.querySelectorAll('#feed li').length") == 200


# What fails


def test_a_connection_that_is_cut_again_and_again_misses_none(tab: Tab, example: Example, network: Network):
    names = example.happens(2)
    for _ in range(4):
        network.cut()
        names += example.happens(2)
        shows(tab, names)
        names += example.happens()
    shows(tab, names)
    assert tab.value(MISSED) == ""


def test_a_connection_that_is_cut_before_anything_has_happened_misses_none(
    tab: Tab, example: Example, network: Network
):
    network.cut()
    shows(tab, example.happens(2))
    assert tab.value(MISSED) == ""


def test_a_laptop_that_slept_goes_on_where_it_was(tab: Tab, example: Example, network: Network):
    names = example.happens(2)
    shows(tab, names)
    network.freeze()
    names += example.happens(3)
    network.forget()
    network.thaw()
    assert tab.value(EVENTS) == names[:2]
    tab.value("slept = 3_600_000")  # it wakes: nothing has told it that its connection is gone

    shows(tab, names)
    assert tab.value(MISSED) == ""


def test_a_refusal_of_a_gateway_does_not_end_the_page(tab: Tab, example: Example, network: Network):
    network.refuse()
    network.cut()
    tab.wait(STATE, lambda state: state.startswith("Connection lost"))
    names = example.happens(2)
    wait_until(lambda: network.refused >= 2)  # by then the browser has given up, and the page has not
    network.refuse(refuses=False)

    shows(tab, names)
    is_live(tab)


def test_a_page_that_is_slow_is_told_how_many_it_misses_and_says_so(tab: Tab, example: Example, network: Network):
    example.program.EventStream = functools.partial(EventStream, room=100)
    network.cut()
    tab.wait(STATE, lambda state: state != "Live")
    is_live(tab)
    network.freeze()
    for _ in range(60):  # 60 MB: the sockets of this machine may buffer 20
        example.happens(10, self_uri="x" * 100_000)
        wait_until(lambda: not example.streams[-1].items)
    network.thaw()

    shown = tab.wait(EVENTS, lambda shown: shown[-1:] == ["Event 600"])
    assert shown[-100:] == [f"Event {number}" for number in range(501, 601)]
    said = tab.value(MISSED)
    assert said.endswith("notifications did not reach this page. The next appointments are up to date.")
    assert int(said.split()[0]) + tab.received.count("notification") == 600


def test_a_server_that_was_restarted_makes_the_page_say_that_some_may_be_missing(chromium: Chromium, example: Example):
    with Network("http://127.0.0.1:1") as network, chromium.tab(headers=HEADERS) as tab:
        with in_thread(example.app) as url:
            network.target(url)
            tab.open(network.url)
            is_live(tab)
            names = example.happens(2)
            shows(tab, names)
            network.target("http://127.0.0.1:1")
            network.cut()
        tab.wait(STATE, lambda state: state.startswith("Connection lost"))
        with in_thread(example.app) as url:
            network.target(url)
            is_live(tab)
            assert tab.wait(MISSED).startswith("Some notifications did not reach this page.")
            shows(tab, names + example.happens())


def test_an_error_of_the_stream_is_said_and_the_page_goes_on_with_the_next_server(chromium: Chromium, example: Example):
    with Network("http://127.0.0.1:1") as network, chromium.tab(headers=HEADERS) as tab:
        with in_thread(example.app) as url:
            network.target(url)
            tab.open(network.url)
            is_live(tab)
            example.streams[-1].feed_from_thread(RuntimeError("the stream has ended"))
            tab.wait(STATE, lambda state: state.startswith("No notifications reach the server"))
            assert httpx.get(f"{url}/health", trust_env=False).status_code == 503
        with in_thread(example.app) as url:
            network.target(url)
            is_live(tab)


# The whole way: the sandbox, its WebSocket, the listener, the hub, the event stream, the page


def test_the_page_shows_what_happens_in_the_org_and_says_when_the_listener_has_missed_something(
    chromium: Chromium, example: Example, sandbox: Sandbox
):
    with in_thread(example.program.app) as url, chromium.tab(headers=HEADERS) as tab:
        tab.open(url)
        is_live(tab)
        for number in range(60):
            sandbox.notify(example.ids[number % 8], "Create")
            if number == 20:
                sandbox.sockets.say_closing(5.0)  # the listener moves to another WebSocket, and loses nothing
            if number == 40:
                sandbox.sockets.double()
            time.sleep(0.1)
        tab.wait(EVENTS, lambda shown: len(shown) >= 60)
        assert len(tab.value(EVENTS)) == 60
        assert tab.value(MISSED) == ""

        sandbox.sockets.drop()
        assert tab.wait(MISSED).startswith("Some notifications did not reach this page.")
        sandbox.notify(example.ids[0], "Delete")
        tab.wait(EVENTS, lambda shown: len(shown) == 61)
        assert tab.complaints == []


# Who looks at it, and with what


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read_on_every_screen(
    tab: Tab, example: Example, width: int, scheme: str, tmp_path: Path
):
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.size(width, 800)
    for action in NotificationAction:
        example.happens(action_type=action, status=AppointmentStatus.INVALID_SCHEDULE, name="Averyveryverylongword" * 5)
    example.streams[-1].feed_from_thread(Missed(3))
    tab.wait(MISSED)

    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("document.querySelector('#missed button').getBoundingClientRect().height") >= 40
    assert [each for each in tab.value(CONTRAST) if each[1] < 4.5] == []


def test_the_page_speaks_to_a_screen_reader_and_a_keyboard(tab: Tab, example: Example):
    shows(tab, example.happens(2))
    example.streams[-1].feed_from_thread(Missed(1))
    tab.wait(MISSED)
    tree = tab.call("Accessibility.getFullAXTree")["nodes"]
    found = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]}

    assert {role for role, _ in found} >= {
        "main",
        "status",
        "banner",
        "heading",
        "list",
        "listitem",
        "alert",
        "button",
        "region",
    }
    assert ("heading", "As it happens") in found
    assert ("button", "OK") in found
    live = tab.value(
        "[...document.querySelectorAll('[aria-live], [role=status], [role=alert]')].map((each) => each.id)"
    )
    assert live == ["state", "missed", "feed"]

    tab.press("Tab")
    assert tab.value("document.activeElement.textContent") == "OK"
    tab.press("Enter")
    assert tab.value(MISSED) == ""


def test_the_page_is_for_those_who_know_the_password(network: Network):
    for path in ("", "page.js", "team", "events", "appointments"):
        for headers in ({}, {"Authorization": f"Basic {base64.b64encode(b'me:wrong').decode()}"}):
            answer = httpx.get(f"{network.url}/{path}", headers=headers, trust_env=False)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")


CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = color.map((each) => (each /= 255) <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = parse(getComputedStyle(element).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color.slice(0, 3);
    }
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.offsetParent && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((each) => {
      const [one, two] = [parse(getComputedStyle(each).color).slice(0, 3), behind(each)].map(light).sort((a, b) => b - a);
      return [each.textContent, (one + .05) / (two + .05)];
    });
})()
"""
"""The text of each element, and its contrast."""
