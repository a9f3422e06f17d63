"""Every change of a public name is in the changelog."""

import shutil
from pathlib import Path

import pytest

from coaching_async import __all__ as exported
from coaching_async import __version__
from tests.release.public_api import SNAPSHOT, Snapshot, public_names, unmentioned_changes

ROOT = Path(__file__).parents[2]
CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n{}\n\n## [1.2.0] - 2026-01-01\n\n- `everything`, `Shop.sell`, `shop`, `price`\n"
)

SOURCE = """
import attrs

from ._private import Basket, Shelf

__all__ = ["Basket", "Client", "Color", "LIMIT", "price", "Shop"]

LIMIT = 5

def price(name: str, *, currency: str = "EUR") -> float: ...

class Color:
    RED = "red"

class Shop(Basket):
    size: int = attrs.field(default=1, validator=print)

    def __init__(self, name: str) -> None:
        self.name = name

    async def sell(self, name: str) -> None: ...
    def _hidden(self) -> None: ...

class Client:
    shelf: Shelf
"""
PRIVATE = """
class Basket:
    def put(self) -> None: ...

class Shelf:
    def take(self, row: int) -> str: ...
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "_private.py").write_text(PRIVATE)
    return folder


def names(package: Path) -> dict[str, str]:
    return public_names(package.parent, package.name)


def changed(package: Path, old: str, new: str, said: str = "", file: str = "__init__.py") -> list[str]:
    """Return what is unmentioned after a change of a source file, with a text under "Unreleased"."""
    last = Snapshot.parse(str(Snapshot("1.2.0", names(package))))
    source = (package / file).read_text()
    assert old in source
    (package / file).write_text(source.replace(old, new, 1))
    return unmentioned_changes(last, names(package), CHANGELOG.format(said))


def test_the_public_names_are_those_that_callers_can_reach(package: Path):
    assert names(package) == {
        "shop.LIMIT": "attribute = 5",
        "shop.price": "(name: str, keyword currency: str = 'EUR') -> float",
        "shop.Color": "class",
        "shop.Color.RED": "attribute = 'red'",
        "shop.Basket": "class",
        "shop.Basket.put": "(self) -> None",
        "shop.Shop": "class of Basket (self, name: str)",
        "shop.Shop.name": "attribute",
        "shop.Shop.size": "attribute int default=1",
        "shop.Shop.sell": "async (self, name: str) -> None",
        "shop.Client": "class",
        "shop.Client.shelf": "attribute Shelf",
        "shop.Client.shelf.take": "(self, row: int) -> str",
    }


CHANGES = {
    "a renamed method": ("def sell(", "def vend(", ["Shop.sell was removed", "Shop.vend is new"]),
    "a new function": ("LIMIT = 5", 'LIMIT = 5\n__all__ += ["pay"]\ndef pay() -> None: ...\n', ["pay is new"]),
    "a removed class": ('"Color", ', "", ["Color was removed"]),
    "another argument": ("sell(self, name: str)", "sell(self, item: str)", ["Shop.sell was changed"]),
    "another default": ('= "EUR"', '= "USD"', ["price was changed"]),
    "another type of a result": ("-> float", "-> int", ["price was changed"]),
    "a function that is awaited": ("def price", "async def price", ["price was changed"]),
    "another value": ("LIMIT = 5", "LIMIT = 6", ["LIMIT was changed"]),
    "a lost base": ("Shop(Basket)", "Shop", ["Shop was changed"]),
    "another constructor": ("__init__(self, name: str)", "__init__(self)", ["Shop was changed"]),
    "a field without a default": ("default=1, ", "", ["Shop.size was changed"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_the_changelog_does_not_mention_is_found(change: str, package: Path):
    old, new, expected = CHANGES[change]

    found = changed(package, old, new)

    assert [line.split(" from ")[0].split(":")[0] for line in found] == [f"shop.{each}" for each in expected]
    assert all("CHANGELOG.md does not mention `" in line and line.endswith("since 1.2.0") for line in found)


def test_a_method_of_a_class_without_a_public_name_is_that_of_the_attribute(package: Path):
    (found,) = changed(package, "row: int", "row: float", file="_private.py")

    assert found.startswith("shop.Client.shelf.take was changed from '(self, row: int) -> str'")


@pytest.mark.parametrize(
    "said",
    ["- `Shop.sell` is `Shop.vend` now", "- `shop.vend(name)` in place of\n  `await Shop(...).sell(name)`"],
)
def test_a_change_that_is_mentioned_is_none(said: str, package: Path):
    assert changed(package, "def sell(", "def vend(", said) == []


@pytest.mark.parametrize(
    "said", ["- Shop.sell is Shop.vend now", "- `sell` is `vend` now", "- `Shop.sell_all`, `Workshop.vend`", "- `shop`"]
)
def test_what_is_not_its_name_in_backticks_does_not_count(said: str, package: Path):
    assert len(changed(package, "def sell(", "def vend(", said)) == 2


@pytest.mark.parametrize(
    "old, new",
    [("_hidden", "_concealed"), ("validator=print", "validator=len"), ("self.name = name", "self.name = str(name)")],
)
def test_what_callers_cannot_notice_is_no_change(old: str, new: str, package: Path):
    assert changed(package, old, new) == []


def test_names_of_which_the_changelog_has_no_release_are_refused(package: Path):
    (found,) = unmentioned_changes(Snapshot("1.1.0", {}), names(package), CHANGELOG.format(""))

    assert found == "CHANGELOG.md has no section of 1.1.0, whose public names are in public_api.txt"


@pytest.fixture(scope="module")
def current() -> dict[str, str]:
    """The public names of the library as it is: reading them takes seconds."""
    return public_names(ROOT)


def test_a_renamed_method_of_the_client_is_found_until_it_is_mentioned(current: dict[str, str], tmp_path: Path):
    before = Snapshot("1.2.0", current)
    shutil.copytree(ROOT / "coaching_async", tmp_path / "coaching_async", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "coaching_async" / "_client.py"
    file.write_text(file.read_text().replace("def with_auth(", "def authenticated_by("))
    after = public_names(tmp_path)

    assert {name.rpartition(".")[2] for name in exported} <= {name.rpartition(".")[2] for name in after}
    assert len(unmentioned_changes(before, after, CHANGELOG.format(""))) == 2
    said = "- `client.with_auth` is called `client.authenticated_by`"
    assert unmentioned_changes(before, after, CHANGELOG.format(said)) == []


def test_every_public_change_since_the_last_release_is_in_the_changelog(current: dict[str, str]):
    last = Snapshot.parse(SNAPSHOT.read_text())

    assert unmentioned_changes(last, current, (ROOT / "CHANGELOG.md").read_text()) == []


def test_the_snapshot_is_that_of_the_newest_release_in_the_changelog(current: dict[str, str]):
    """Otherwise the changes of two releases would be looked for in one section: `make release-snapshot` was forgotten."""
    _, _, sections = (ROOT / "CHANGELOG.md").read_text().partition("\n## [Unreleased]")
    newest = sections.partition("\n## [")[2].partition("]")[0]

    assert Snapshot.parse(SNAPSHOT.read_text()).release == newest == __version__
