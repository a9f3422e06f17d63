"""The rules of the architecture that import-linter cannot state."""

import re
import tomllib
from pathlib import Path

import coaching_async

PACKAGE = Path(coaching_async.__file__).parent
ROOT = PACKAGE.parent


def linted_layers() -> list[set[str]]:
    """The layers that import-linter checks, the lowest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (setting for setting in settings["tool"]["importlinter"]["contracts"] if setting["type"] == "layers")
    return [set(layer.split(" | ")) for layer in reversed(contract["layers"])]


def test_the_table_of_layers_on_the_design_page_is_the_one_that_is_checked():
    page = (ROOT / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.+?) \|", page, re.MULTILINE)
    layer_of = {name: int(number) for number, names in rows for name in re.findall(r"`(\w+)`", names)}
    private = [{name for name in layer if name.startswith("_") or name == "models"} for layer in linted_layers()]

    assert set(layer_of) == set().union(*private)
    numbers = [{layer_of[name] for name in layer} for layer in private if layer]
    assert all(len(layer) == 1 for layer in numbers), "packages side by side have one number"
    assert numbers == sorted(numbers, key=min), "no number goes down where the layers go up"


def test_only_three_modules_of_the_transport_import_the_http_library():
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.glob("_*/**/*.py")
        if re.search(r"^\s*(import|from) (httpx|httpcore)\b", path.read_text(), re.MULTILINE)
    }

    assert importing <= {"_transport/http.py", "_transport/http_client.py", "_transport/httpcore_hooks.py"}


def test_no_folder_holds_more_than_a_dozen_modules_and_no_module_more_than_four_hundred_lines():
    for folder in {PACKAGE, *(path.parent for path in PACKAGE.rglob("*.py"))}:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, folder
        for module in modules:
            assert len(module.read_text().splitlines()) <= 400, module


def test_siblings_are_imported_relatively_and_other_packages_absolutely():
    for path in PACKAGE.rglob("*.py"):
        package = ".".join((PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]))
        for line in re.findall(r"^\s*(?:from|import) (\S+)", path.read_text(), re.MULTILINE):
            assert not line.startswith(".."), f"{path}: {line}"
            inside = package != PACKAGE.name and line.startswith(f"{package}.")
            assert not inside, f"{path}: {line} is a sibling"


def test_the_only_digest_is_one_that_a_python_limited_to_approved_algorithms_has():
    used = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"\bhashlib(?:\.| import )(\w+)", path.read_text())
    }

    assert used == {"sha256"}
