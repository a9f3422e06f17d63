"""A page says at its top which extras its programs and commands need."""

import re
from pathlib import Path

import pytest

from tests.support.markdown import PAGES, blocks, name_of

NEEDS = {
    "cli": r"^\$ ([A-Z_]+=\S+ )*coaching-async ",
    "report": r"\$ coaching-async report |coaching_async\.report\b",
    "sandbox": r"coaching_async\.sandbox\b",
    "testing": r"coaching_async\.testing\b",
    "parquet": r"coaching_async\.tables\b|\.parquet\b",
    "xlsx": r"\.xlsx\b",
    "fastapi": r"integrations\.fastapi\b",
    "aiohttp": r"integrations\.aiohttp\b",
    "redis": r"integrations\.redis\b",
    "dask": r"integrations\.dask\b",
    "dlt": r"integrations\.dlt\b",
    "otel": r"integrations\.opentelemetry\b",
    "live": r"notifications\.listen\(|topics\.subscribe\(",
}
"""Extra → what needs it in a block."""

INCLUDED = {"cli": {"sandbox"}, "testing": {"sandbox"}}
"""Extra → the extras that come with it."""

BACKGROUND = {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/design.md", "docs/performance.md"}
SHOWN = [page for page in PAGES if name_of(page) not in BACKGROUND and blocks(page)]


def needed(page: Path) -> set[str]:
    """Return the extras that the blocks of a page need."""
    text = "\n".join(block.text for block in blocks(page))
    return {extra for extra, use in NEEDS.items() if re.search(use, text, re.MULTILINE)}


def named(page: Path) -> set[str]:
    """Return the extras that a page names in its first lines."""
    top = "\n".join(page.read_text().splitlines()[:30])
    found = {extra for listed in re.findall(r"(?:coaching_async|\.)\[([a-z,]+)\]", top) for extra in listed.split(",")}
    found |= set(re.findall(r"extras? `(\w+)`", top))
    return found.union(*(INCLUDED.get(extra, set()) for extra in found))


@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_a_page_names_the_extras_that_it_needs_at_its_top(page: Path):
    assert needed(page) <= named(page)
