"""What the documentation tells of the code in lists and tables is what the code has."""

import re
from importlib import import_module

import coaching_async

from .pages import ROOT

DOCS = ROOT / "docs"
REFERENCE = "\n".join(page.read_text() for page in sorted(DOCS.glob("reference/*.md")))


def test_the_reference_has_every_public_name_once():
    shown = re.findall(r"^::: coaching_async\.([A-Za-z]\w*)$", REFERENCE, re.MULTILINE)

    names = [each for each in shown if each in coaching_async.__all__]

    assert sorted(names) == sorted(coaching_async.__all__)
    for module in set(shown) - set(names):
        assert import_module(f"coaching_async.{module}").__all__


def test_the_reference_has_every_attribute_of_a_client():
    for name, group in coaching_async.CoachingClient.__annotations__.items():
        assert f"::: {group.__module__}.{group.__name__}\n    options:\n      heading: client.{name}\n" in REFERENCE
