"""The documentation site in Chromium, read from the disk: nothing of it is cut on a phone, and its search works.

Without Chromium on the machine these tests are skipped.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_examples import DESCRIBED
from tests.support.browser import CHROMIUM, Chromium, Tab
from tests.support.fault_server import HANG
from tests.support.markdown import ROOT

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: tests/slow/programs.sh")

WIDER_THAN_ITS_PLACE = """
    [document.documentElement, ...document.querySelectorAll("article table")]
        .filter(each => each.scrollWidth > Math.max(each.clientWidth, each.parentElement?.clientWidth ?? 0) + 4)
        .map(each => each.innerText.slice(0, 60))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, ROOT / "docs" / "_site.py", folder], check=True, timeout=HANG)
    return folder / "site"


@pytest.fixture(scope="module")
def phone() -> Iterator[Tab]:
    with Chromium() as chromium, chromium.tab(width=390) as tab:
        yield tab


def shown(tab: Tab, page: Path) -> Tab:
    tab.open(page.as_uri())
    tab.wait(f"document.readyState === 'complete' && location.href === {json.dumps(page.as_uri())}")
    return tab


def test_no_page_and_no_table_is_wider_than_a_phone(site: Path, phone: Tab):
    pages = sorted(set(site.rglob("*.html")) - {site / "404.html"})  # that one is for a server
    wide = {page.name: found for page in pages if (found := shown(phone, page).value(WIDER_THAN_ITS_PLACE))}

    assert wide == {}
    assert phone.complaints == [], "nothing is missing, and nothing is requested from another host"


def test_the_search_works_from_the_disk(site: Path, phone: Tab):
    tab = shown(phone, site / "tour.html")
    tab.value("document.querySelector('.md-search__button').click()")
    tab.wait("document.activeElement.shadowRoot !== null")
    tab.call("Input.insertText", text="pagination")

    tab.wait("document.activeElement.shadowRoot.querySelector('a[href*=\"lists.html\"]') !== null")
    assert phone.complaints == []


def test_the_reference_has_every_method(site: Path):
    shown = "\n".join(page.read_text() for page in site.glob("reference/*.html"))

    assert [name for name in DESCRIBED if not re.search(rf'id="[\w.]*\b{re.escape(name)}"', shown)] == []
