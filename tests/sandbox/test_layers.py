"""The folders of the sandbox import only from the folders below them, and nothing of the client."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import coaching_async.sandbox

ROOT = Path(coaching_async.sandbox.__file__).parent
SANDBOX = "coaching_async.sandbox"

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text(encoding="utf-8").partition("### Sandbox")[2]
MAY_IMPORT = {
    folder: set(re.findall(r"`(\w+)`", allowed))
    for folder, allowed in re.findall(r"^\| `(_\w+)` \|(.*?)\|", DESIGN, re.MULTILINE)
}
"""The folders that each folder may import from, as the table in docs/design.md has it, top first."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((SANDBOX, *(part for part in parts if part != "__init__")))


MODULES = {name_of(path): path for path in ROOT.rglob("*.py")}


def imports(name: str) -> set[str]:
    """Return the modules of this repository that a module imports, at any place in it."""
    path = MODULES[name]
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            submodules = {f"{source}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= submodules or {source}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {module for module in found if module.split(".")[0] == "coaching_async"}


def folder_of(name: str) -> str:
    return name.removeprefix(SANDBOX).strip(".").partition(".")[0]


def test_every_folder_has_a_row_in_the_table():
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == MAY_IMPORT.keys()


def test_the_table_points_down():
    folders = list(MAY_IMPORT)
    assert all(allowed <= set(folders[folders.index(folder) + 1 :]) for folder, allowed in MAY_IMPORT.items())


def test_imports_between_folders_are_those_of_the_table():
    wrong = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in imports(name)
        if (folder := folder_of(name)) in MAY_IMPORT and folder_of(imported) not in MAY_IMPORT[folder] | {folder}
    ]
    assert wrong == []


def test_the_modules_of_the_sandbox_form_no_cycle():
    graph = {name: imports(name) for name in MODULES}
    assert set(TopologicalSorter(graph).static_order()) >= MODULES.keys()


def test_the_sandbox_imports_nothing_of_the_client():
    assert [(name, imported) for name in MODULES for imported in imports(name) if imported not in MODULES] == []


def test_no_folder_has_more_than_a_dozen_files():
    folders = {path.parent for path in MODULES.values()}
    assert [folder for folder in folders if len(list(folder.glob("*.py"))) > 12] == []
