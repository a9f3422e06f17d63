"""Every block of the documentation runs or parses, and its output is correct. New pages are included automatically."""

import ast
import csv
import inspect
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tomllib
from codeop import CommandCompiler
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import ExitStack
from datetime import date
from importlib.util import find_spec
from itertools import cycle, takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import yaml
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner
from markdown_it import MarkdownIt
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from packaging.requirements import Requirement

from coaching_async import CoachingClient
from coaching_async._config import LOG_VARIABLE, RATE_LIMIT_VARIABLE, VARIABLES
from coaching_async.cli import main
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox
from tests.support.cli import command_of, environment
from tests.support.dlt_settings import HAS_DLT, surroundings
from tests.support.effort import FULL
from tests.support.fault_server import HANG
from tests.support.markdown import PAGES, ROOT, Block, anchors, blocks, commands, links, name_of
from tests.support.redis_server import RedisServer

PYTHON = {page: found for page in PAGES if (found := blocks(page, "python"))}
TESTS = {page: found for page, found in PYTHON.items() if any("def test_" in each.text for each in found)}
PROGRAMS = {page: found for page, found in PYTHON.items() if page not in TESTS and page.name != "README.md"}
if not HAS_DLT:
    PROGRAMS = {page: found for page, found in PROGRAMS.items() if page.name != "warehouse.md"}
BACKENDS = ("asyncio", "trio")

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def runs_on(page: Path) -> list[str]:
    """Return both backends, or the one that the page is about; one if nothing is awaited, or a cluster is started."""
    text = "".join(program.text for program in PROGRAMS[page] if is_awaiting(program))
    if not text or any("from distributed import" in program.text for program in PROGRAMS[page]):
        return list(BACKENDS[:1])
    return [
        backend
        for backend in BACKENDS
        if not re.search(rf"^import {(set(BACKENDS) - {backend}).pop()}$", text, re.MULTILINE)
    ]


def compiled(block: Block) -> Any:
    text = "\n" * (block.line - 1) + block.text  # so that a traceback names the line of the page
    return compile(text, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def is_awaiting(block: Block) -> bool:
    return bool(compiled(block).co_flags & inspect.CO_COROUTINE)


def users_token(sandbox: Sandbox) -> str:
    form = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
    answer = httpx.post(f"{sandbox.login_url}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    return answer.json()["access_token"]


class Celery:
    """The queue of Celery, as far as a page needs it: the tests install no queue. A task is the function itself."""

    def __init__(self, name: str, *, broker: str | None) -> None: ...

    def task(self, **_: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return lambda function: function


CELERY: Any = ModuleType("celery")
CELERY.Celery = Celery


def runs() -> Iterator[tuple[Path, str]]:
    """Return each page with the backends that it is run on: in `make test` one of them, in turns."""
    turn = cycle([0, -1])
    for page in PROGRAMS:
        backends = runs_on(page)
        for backend in backends if FULL or len(backends) == 1 else [backends[next(turn)]]:
            yield page, backend


@pytest.mark.parametrize(
    "page, backend", [pytest.param(page, backend, id=f"{name_of(page)}-{backend}") for page, backend in runs()]
)
def test_the_python_blocks_of_a_page_run_in_order(
    page: Path, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.NOTSET)  # a block sets it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "celery", CELERY)
    of_page = surroundings(tmp_path) if page.name == "warehouse.md" else {}
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(appointments=200))
        portal = stack.enter_context(start_blocking_portal(backend))
        for name, value in (environment(sandbox) | of_page).items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {
            "__name__": "a_page",
            "users_token": users_token(sandbox),
            "sandbox_url": sandbox.base_url,
        }
        if any("redis_url" in block.text for block in PROGRAMS[page]):
            names["redis_url"] = stack.enter_context(RedisServer()).url
        with portal.wrap_async_context_manager(CoachingClient.from_env()) as client:
            for block in PROGRAMS[page]:
                names["client"] = client  # the blocks expect it to be open
                if is_awaiting(block):
                    portal.call(eval, compiled(block), names)
                else:  # outside an event loop, because a block may be a program that starts its own
                    exec(compiled(block), names)
                if isinstance(made := names["client"], CoachingClient) and made is not client:
                    portal.call(made.aclose)  # a block that creates the client for the following ones leaves it open
    HTTPXClientInstrumentor().uninstrument()  # a block instruments it


def statements(block: Block) -> Iterator[Any]:
    """Yield the statements that a shell compiles which reads a block line by line.

    Such a shell ends a statement at an empty line, and nowhere else.
    """
    compile_lines = CommandCompiler()
    compile_lines.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    lines: list[str] = []
    for line in [*block.text.splitlines(), ""]:
        lines.append(line)
        if (statement := compile_lines("\n".join(lines), block.place)) is not None:
            yield statement
            lines.clear()
    assert not lines, block.place


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_the_blocks_of_a_page_can_be_pasted_into_a_shell_that_reads_line_by_line(page: Path):
    for block in PROGRAMS[page]:
        if not re.search(r"^class ", block.text, re.MULTILINE):  # empty lines are between its methods
            assert [*statements(block)]


def test_the_tour_runs_in_such_a_shell_from_its_first_block_to_the_last(tmp_path: Path, monkeypatch: Any, capsys: Any):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    with Sandbox(today=date(2026, 11, 23)) as sandbox, start_blocking_portal() as portal:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)

        for block in PROGRAMS[ROOT / "docs" / "tour.md"]:
            for statement in statements(block):
                if statement.co_flags & inspect.CO_COROUTINE:
                    portal.call(eval, statement, names)
                else:
                    exec(statement, names)

    assert "Call opening" in capsys.readouterr().out


def test_the_program_in_the_readme_needs_no_settings_and_prints_five_appointments(tmp_path: Path):
    (program,) = blocks(ROOT / "README.md", "python")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GENESYSCLOUD_")}

    command = [sys.executable, "-W", "error", "-X", "dev", "-W", "ignore::ResourceWarning", "-c", program.text]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, check=True, timeout=HANG, capture_output=True, text=True)

    assert len(re.findall(r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+00:00 \w", ran.stdout, re.MULTILINE)) == 5


@pytest.mark.parametrize("page", TESTS, ids=name_of)
def test_every_block_of_a_page_about_tests_is_a_passing_test(page: Path, tmp_path: Path):
    for number, block in enumerate(TESTS[page]):
        named = re.match(r"# (\w+\.py)\n", block.text)
        (tmp_path / (named[1] if named else f"test_block_{number}.py")).write_text(block.text)
    plugins = ("anyio.pytest_plugin", "pytest_asyncio.plugin", "respx.plugin")
    # The lowest Starlette that pyproject.toml allows uses an alias that the newest anyio deprecates.
    warnings = ["-W", "error", "-W", "ignore:The anyio.abc.BlockingPortal alias:DeprecationWarning"]
    options = [*warnings, "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *options, *(f"-p{plugin}" for plugin in plugins), tmp_path]

    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, check=False, timeout=HANG, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout


SETTING = re.compile(r"[A-Z_]+=.*")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def without_numbers(text: str) -> str:
    """Return a text without numbers, hosts and column widths, which differ from run to run."""
    return re.sub(r"\d+(\.\d+)?", "0", re.sub(r"[\w-]+(\.[\w-]+){2,}(:\d+)?", "host", " ".join(text.split())))


def of_ours(arguments: list[str], shown: list[str]) -> None:
    """Run the command and compare its output with the page; only parse a server, or an export that is resumed."""
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    if name in {"demo", "sandbox", "watch"} or "--resume" in arguments:
        command_of(name).make_context(name, arguments[1:])
        return
    file = arguments.pop() if ">" in arguments else None
    ran = CliRunner().invoke(main, [argument for argument in arguments if argument != ">"])
    assert ran.exit_code == 0 or shown, ran.output
    if file is not None:
        Path(file).write_text(ran.stdout)
    for line in shown:
        assert without_numbers(line) in without_numbers(ran.output), ran.output


def of_pip(arguments: list[str], _: list[str]) -> None:
    assert arguments[0] == "install"
    for argument in arguments[1:]:
        requirement = Requirement(re.sub(r"^\.", PROJECT["name"], argument))
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= PROJECT["optional-dependencies"].keys()


def of_make(arguments: list[str], _: list[str]) -> None:
    assert {argument for argument in arguments if "=" not in argument} <= TARGETS


def of_python(arguments: list[str], _: list[str]) -> None:
    option, argument = arguments
    assert option in {"-c", "-m"}
    if option == "-c":
        compile(argument, "<python -c>", "exec")
    else:
        assert find_spec(argument) is not None


def of_export(arguments: list[str], _: list[str]) -> None:
    assert {argument.partition("=")[0] for argument in arguments} <= {*VARIABLES, LOG_VARIABLE, RATE_LIMIT_VARIABLE}


def of_server(arguments: list[str], _: list[str]) -> None:
    assert re.fullmatch(r"\w+:app", arguments[0])


COMMANDS: dict[str, Callable[[list[str], list[str]], None]] = {
    "coaching-async": of_ours,
    "export": of_export,
    "gunicorn": of_server,
    "make": of_make,
    "pip": of_pip,
    "python": of_python,
    "uvicorn": of_server,
}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=name_of)
def test_the_commands_of_a_page_exist(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with Sandbox(appointments=200) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        for plan in blocks(page, "csv"):
            Path("plan.csv").write_text(plan.text)
        for block in blocks(page, "console"):
            for command, shown in commands(block):
                words = shlex.split(command, comments=True)
                settings = [word.partition("=") for word in takewhile(SETTING.fullmatch, words)]
                program, *arguments = words[len(settings) :]
                with monkeypatch.context() as during:
                    for name, _, value in settings:
                        during.setenv(name, value)
                    COMMANDS[program](arguments, shown)


def rows(text: str) -> None:
    widths = {len(row) for row in csv.reader(io.StringIO(text), strict=True)}
    assert len(widths) == 1


PARSERS: dict[str, Callable[[str], Any]] = {
    "csv": rows,
    "ini": lambda text: ConfigParser().read_string(text),
    "json": json.loads,
    "jsonl": lambda text: [json.loads(line) for line in text.splitlines()],
    "text": str,  # a drawing
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


@each_page
def test_every_block_of_a_page_is_checked(page: Path):
    for block in blocks(page):
        assert block.language in {"python", "console", *PARSERS}, block.place
    tokens = MarkdownIt("commonmark").parse(page.read_text())
    fenced = [token for token in tokens if token.type == "fence"]
    assert [token.content for token in fenced] == [block.text for block in blocks(page)]
    assert [token.content for token in tokens if token.type == "code_block"] == []  # without a language


@each_page
def test_the_data_of_a_page_parse(page: Path):
    for language, parse in PARSERS.items():
        for block in blocks(page, language):
            parse(block.text)


@each_page
def test_links_within_the_project_have_a_target(page: Path):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        there = page.parent / target if target else page
        assert there.exists(), link
        if anchor:
            assert anchor in anchors(there), link


@each_page
def test_external_links_are_complete_and_use_https(page: Path):
    """Their targets are not requested, because a test needs no network."""
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            assert re.fullmatch(r"https://([\w-]+\.)+[a-z]+(/[\w./~%+-]*)?(#[\w./-]+)?", link), link
