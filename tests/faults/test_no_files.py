"""Row 112: the client takes no file names and opens no files, except for the file of a `FileSharedState`, if it is given one."""

import ast
import inspect
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import coaching_async
from coaching_async import (
    CoachingClient,
)
from tests.faults.support import (
    Source,
)

pytestmark = pytest.mark.anyio

FILES = ("file", "folder", "directory", "dest", "output", "save", "download", "upload", "stream_to")


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function and method of the package by its name."""
    client = CoachingClient(Source())
    things = {name: getattr(coaching_async, name) for name in coaching_async.__all__}
    things |= {name: type(each) for name, each in vars(client).items() if not name.startswith("_")}
    for name, thing in things.items():
        if not callable(thing):
            continue
        yield name, thing
        for inner, member in inspect.getmembers(thing, callable):
            if not inner.startswith("_") and not hasattr(str, inner):
                yield f"{name}.{inner}", member


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a function in C
        return {}


def test_row_112_no_public_function_takes_a_file_name():
    offered = dict(callables())
    assert {"CoachingClient", "CoachingClient.request", "appointments.create", "Listing.collect"} <= offered.keys()

    for name, function in offered.items():
        if name.endswith("TokenStore.save") or name.startswith("FileSharedState"):  # saves a token; has a file
            continue
        assert not [word for word in FILES if word in name.rpartition(".")[2].lower()], name
        for each, parameter in parameters(function).items():
            assert not [word for word in FILES if word in each.lower()], (name, each)
            assert each != "path" or name in {"CoachingClient.request", "CoachingClient.items"}, (
                "that path is part of a URL"
            )
            assert not [word for word in ("Path", "IO[") if word in str(parameter.annotation)], (name, each)


def test_row_112_no_module_of_the_client_opens_a_file():
    package = Path(coaching_async.__file__).parent
    openers = {"open", "fdopen", "write_text", "write_bytes", "NamedTemporaryFile", "mkstemp", "makedirs", "mkdir"}
    read = 0
    # What stands beside the client. `_files` is in a layer above it, so the client cannot import it.
    around = {"_files.py", "cli", "doctor", "export", "integrations", "report", "sandbox", "testing"}
    for source in package.rglob("*.py"):
        if source.relative_to(package).parts[0] in around or source.name == "file_store.py":
            continue
        read += 1
        tree = ast.parse(source.read_text())
        called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {each.id if isinstance(each, ast.Name) else getattr(each, "attr", "") for each in called}
        assert not names & openers, source.name
        imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & {"pathlib", "tempfile", "shutil", io.__name__}, source.name
    assert read > 20
