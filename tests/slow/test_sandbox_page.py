"""The sandbox's page in Chromium: notifications and WebSockets are shown as they happen.

Without Chromium on the machine these tests are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from coaching_async.sandbox import Sandbox
from tests.sandbox.api import Api
from tests.sandbox.channels.listening import channel_of, close_code, coaching, opened, told
from tests.support.browser import CHROMIUM, Chromium, Tab
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: tests/slow/programs.sh")

ROWS = "#{}-table tbody tr"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with Chromium() as chromium:
        yield chromium


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(appointments=30, users=4) as sandbox:
        yield sandbox


@pytest.fixture
def tab(chromium: Chromium, sandbox: Sandbox) -> Iterator[Tab]:
    with chromium.tab() as tab:
        tab.open(f"{sandbox.base_url}/")
        tab.wait("document.getElementById('live')?.textContent === 'live'")
        tab.wait("document.querySelectorAll('#appointments-table tbody tr').length > 0")
        yield tab
        assert tab.complaints == []


def shown(tab: Tab, selector: str, text: str) -> None:
    tab.wait(f"document.querySelector({selector!r})?.innerText || ''", lambda found: text in found)


def test_a_notification_is_shown_when_it_happens(tab: Tab, sandbox: Sandbox):
    me = sandbox.state.user_ids[0]
    row = sandbox.notify(me, "StatusChange")
    shown(tab, "#newest", f"StatusChange of {row['name']}, to {sandbox.state.users[me]['name']}")
    shown(tab, ROWS.format("notifications"), "StatusChange")
    for _ in range(100):
        sandbox.notify(me)
    shown(tab, "#notifications-table .pager", f"{len(sandbox.state.notifications)} in all")


def test_the_chosen_person_is_the_only_one_that_is_shown_and_told_of(tab: Tab, sandbox: Sandbox):
    me, other = sandbox.state.user_ids[:2]
    tab.value(
        f"const of = document.getElementById('notifications-of'); of.value = {me!r}; of.dispatchEvent(new Event('change'))"
    )
    before = len(sandbox.state.notifications_of(me))
    shown(tab, "#notifications-table .pager", f"{before} in all")
    sandbox.notify(other, "Delete")
    tab.value("document.getElementById('notify').click()")
    shown(tab, "#newest", "Update of")
    shown(tab, "#notifications-table .pager", f"{before + 1} in all")
    assert sandbox.state.notifications_of(me)[-1]["actionType"] == "Update"


def test_websockets_are_shown_and_take_orders(tab: Tab, sandbox: Sandbox):
    me = sandbox.state.user_ids[0]
    shown(tab, "#sockets-table", "None is open.")
    with Api(sandbox, sandbox.user_token(me)) as api, opened(channel_of(api, coaching(me))) as socket:
        shown(tab, "#sockets-table", coaching(me))
        tab.value("document.getElementById('notify').click()")
        first = told(socket)
        tab.value("document.querySelector('[aria-label=\"double WebSocket 1\"]').click()")
        assert told(socket) == first
        tab.value("document.querySelector('[aria-label=\"mute WebSocket 1\"]').click()")
        shown(tab, "#sockets-table", "muted")
        tab.value("document.querySelector('[aria-label=\"close WebSocket 1\"]').click()")
        assert close_code(socket) == 1001
    shown(tab, "#sockets-table", "None is open.")


def test_the_page_says_when_it_is_not_live_and_goes_on_when_the_sandbox_is_back(chromium: Chromium):
    port = free_port()
    with chromium.tab() as tab:
        with Sandbox(appointments=3, users=2, port=port) as first:
            tab.open(f"{first.base_url}/")
            shown(tab, "#live", "live")
        shown(tab, "#live", "not live")
        with Sandbox(appointments=3, users=2, port=port) as second:
            tab.wait("document.getElementById('live').textContent === 'live'")
            second.notify(second.state.user_ids[1], "Delete")
            shown(tab, ROWS.format("notifications"), "Delete")


def test_a_channel_is_made_and_subscribed_on_the_page_of_the_api(chromium: Chromium, sandbox: Sandbox):
    with chromium.tab() as tab:
        tab.open(f"{sandbox.base_url}/docs")
        shown(tab, "#operations", "/api/v2/notifications/channels")
        tab.value("document.getElementById('as').value = 'user'")
        for operation in ("postNotificationsChannels", "putNotificationsChannelSubscriptions"):
            tab.value(
                f"var view = document.getElementById('{operation}'); view.open = true; view.querySelector('.go button').click()"
            )
            shown(tab, f"#{operation} .answer", "200 OK")
        shown(tab, "#putNotificationsChannelSubscriptions .answer", "Permitted")
        assert tab.complaints == []
