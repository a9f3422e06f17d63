"""The shape of the package: imports point down, and the names it shows are exactly those it promises."""

import ast
import re
from pathlib import Path

import pytest

import coaching_async

PACKAGE = Path(coaching_async.__file__).parent

FLOORS = [
    {"_types", "_version", "_names", "_value", "_hints", "_json", "_lanes", "_tasks", "_signal", "_cursor", "_drift"},
    {"_convert", "_events"},
    {"models_aggregates", "models_errors", "models_socket", "_structure"},
    {"models"},
    {"models_slots", "_errors", "_batch", "_known", "_find_created", "_converter"},
    {"_regions", "_retry", "_rate", "_wire", "_home", "_log", "_outcomes", "_course", "_turns"},
    {"_failures", "_urls", "_gate", "_pydantic", "_route"},
    {"_exchange", "_chunks", "_walk"},
    {"_pipeline", "_body", "_grants", "_raw", "_filters", "_stream"},
    {"_http", "_login", "_sign_in", "_listing"},
    {"_engine", "_line", "_checks", "_environment"},
    {"_tokens"},
    {"_answers"},
    {"_api"},
    {"_paging", "_resource"},
    {"_bulk"},
    {"_appointments", "_annotations", "_notifications", "_schedule_slots"},
    {"_client"},
    {"__init__"},
]
FLOOR_OF = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
BESIDE = {"cli", "doctor", "export", "integrations", "sandbox", "testing"}
"""Packages that use only the public surface, and that the core never imports."""


def imports(path: Path) -> set[str]:
    """The package's own modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("coaching_async"):
            found.add((node.module or "").partition(".")[2] or "__init__")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("coaching_async")}
    return found


def test_the_design_page_has_every_module_on_its_floor():
    page = (PACKAGE.parent / "docs" / "design.md").read_text()

    rows = re.findall(r"^\| (\d+) \| (.+?) \|", page, re.MULTILINE)
    told = {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert told == {module: floor for module, floor in FLOOR_OF.items() if module != "__init__"}


def test_every_module_has_a_floor():
    assert {path.stem for path in PACKAGE.glob("*.py")} == FLOOR_OF.keys()


@pytest.mark.parametrize("module", FLOOR_OF)
def test_imports_point_down(module: str):
    for imported in imports(PACKAGE / f"{module}.py"):
        assert FLOOR_OF[imported] < FLOOR_OF[module], f"{module} imports {imported}"


def test_what_stands_beside_the_core_uses_only_its_public_surface():
    for folder in (PACKAGE / name for name in BESIDE):
        siblings = {path.stem for path in folder.glob("*.py")}
        for path in folder.glob("*.py"):
            ours = {name for name in imports(path) if FLOOR_OF.get(name, 0) != FLOOR_OF["__init__"]}
            assert ours <= siblings | {"doctor", "export", "sandbox"}, path


def test_only_the_engine_and_what_it_stands_on_know_the_http_library():
    knowing = {path.stem for path in PACKAGE.glob("*.py") if "import httpx" in path.read_text()}

    assert knowing == {"_engine", "_http"}
