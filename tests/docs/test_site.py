"""What is made of the pages before Zensical makes a site of them; `make docs` runs all of it."""

import runpy
from typing import Any

import pytest

from tests.support.markdown import ROOT

SITE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "_site.py"))


@pytest.mark.parametrize(
    "link, of_the_site",
    [
        ("[lists](docs/lists.md#filters)", "[lists](lists.md#filters)"),
        ("[a program](docs/examples/with_trio.py)", "[a program](examples/with_trio.md)"),
        ("[the license](LICENSE)", "the license"),
        ("[elsewhere](https://example.com)", "[elsewhere](https://example.com)"),
        ("[below](#below)", "[below](#below)"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(link: str, of_the_site: str):
    assert SITE["_linked"](link, "index.md", "") == of_the_site


def test_a_link_leads_out_of_the_folder_of_its_page():
    linked = SITE["_linked"]("[home](../../README.md), [lists](../lists.md)", "reference/client.md", "docs/reference")

    assert linked == "[home](../index.md), [lists](../lists.md)"


@pytest.mark.parametrize("pages", [{"index.md"}, {"index.md", "lists.md", "new.md"}])
def test_a_page_that_is_missing_and_one_without_a_place_are_refused(pages: set[str]):
    with pytest.raises(SystemExit, match=r"differ in \['(lists|new)\.md'\]"):
        SITE["_check_navigation"]([{"Home": "index.md"}, {"How to": [{"Lists": "lists.md"}]}], dict.fromkeys(pages))
