"""Lists and tables of the documentation match the code."""

import inspect
import re
import tomllib
from importlib import import_module

import attrs
import click
import pytest

import coaching_async
from coaching_async import AppointmentFilters, CoachingError, RetryPolicy
from coaching_async._regions import REGIONS
from coaching_async._transport.retry_policy import RETRY_TABLE, Action, Fault, Safety, fault_from_status
from coaching_async.cli._main import COMMANDS
from coaching_async.sandbox import Sandbox
from coaching_async.sandbox._faults.fault import KINDS
from tests.support.cli import command_of
from tests.support.markdown import ROOT

DOCS = ROOT / "docs"
REFERENCE = "\n".join(page.read_text() for page in sorted(DOCS.glob("reference/*.md")))


BESIDE = (
    "export",
    "report",
    "doctor",
    "fanout",
    "sandbox",
    "tables",
    "testing",
    "types",
    "integrations.fastapi",
    "integrations.aiohttp",
    "integrations.opentelemetry",
    "integrations.dask",
    "integrations.redis",
)


@pytest.mark.parametrize("module", ["coaching_async", *(f"coaching_async.{each}" for each in BESIDE)])
def test_the_reference_has_every_public_name_once(module: str):
    shown = re.findall(rf"^::: {module}\.(\w+)$", REFERENCE, re.MULTILINE)

    assert sorted(shown) == sorted(import_module(module).__all__)


def test_the_reference_has_every_attribute_of_a_client():
    for name, group in inspect.get_annotations(coaching_async.CoachingClient).items():
        assert f"::: coaching_async.types.{group.__name__}\n    options:\n      heading: client.{name}\n" in REFERENCE


def section(page: str, heading: str) -> str:
    """Return the part of a page below a heading of the second level."""
    text = (DOCS / page).read_text()
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table(text: str) -> dict[str, list[str]]:
    """Return the cells of the first table of a text, by the first cell of their row."""
    found = re.search(r"^\|.*\|\n\|[-|]+\|\n((\|.*\|\n?)+)", text, re.MULTILINE)
    assert found
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in found[1].splitlines()]
    return {name: cells for name, *cells in rows}


def help_of(option: click.Parameter, command: click.Command) -> tuple[str, str]:
    name, text = option.get_help_record(click.Context(command)) or ("", "")
    if isinstance(option.type, click.Choice):  # forge and site do not agree on what is a | in a table
        name, text = name.partition(" ")[0], f"{' or '.join(option.type.choices)} {text}"
    return f"`{name}`", " ".join(text.split())


def test_the_table_of_commands_has_every_command():
    rows = table((DOCS / "cli.md").read_text())

    assert set(re.findall(r"`coaching-async (\w+)`", " ".join(rows))) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_its_options_are_on_their_page_as_in_the_help_text(name: str):
    command = command_of(name)
    if (own := DOCS / f"{name}.md").exists() and not section("cli.md", f"coaching-async {name}"):
        text = own.read_text()
        assert f"coaching-async {name}" in text
        assert all(opt in text for option in command.params for opt in option.opts)
        return
    options = table(section("cli.md", f"coaching-async {name}"))
    assert options == {opt: [text] for opt, text in (help_of(param, command) for param in command.params)}
    assert f"(#coaching-async-{name})" in (DOCS / "cli.md").read_text()


def test_the_table_of_retries_is_that_of_the_client():
    words = {
        Action.RETRY: "retry, {}",
        Action.RETRY_ONCE: "retry once, {}",
        Action.RAISE: "error, {}",
        Action.TREAT_AS_DONE: "done",
    }
    rows = table(section("errors.md", "Retries: which requests are repeated"))

    for fault in Fault:
        (cells,) = [cells for what, cells in rows.items() if what.startswith(fault.value)]
        verdicts = [RETRY_TABLE[fault][safety] for safety in Safety]
        assert cells == [words[verdict.action].format(verdict.processed) for verdict in verdicts]
    assert len(rows) == len(Fault)


def test_the_table_of_retries_names_every_status_that_is_retried():
    (unavailable,) = [
        what
        for what in table(section("errors.md", "Retries: which requests are repeated"))
        if what.startswith(Fault.UNAVAILABLE.value)
    ]

    named = [int(each) for each in re.findall(r"\d+", unavailable)]

    assert named == [status for status in range(100, 600) if fault_from_status(status) is Fault.UNAVAILABLE]


def test_the_table_of_errors_has_every_error():
    errors = {
        name
        for name in coaching_async.__all__
        if isinstance(kind := getattr(coaching_async, name), type) and issubclass(kind, CoachingError)
    }

    assert {
        each.strip("`")
        for each in table(section("errors.md", "Exceptions: 400, 401, 403, 404, 409, 429, 503, timeouts"))
    } == errors - {"CoachingError"}


def test_the_table_of_the_retry_policy_has_its_fields_and_defaults():
    rows = table(section("errors.md", "Retry policy: attempts and backoff"))

    defaults = {each.name: str(each.default) for each in attrs.fields(RetryPolicy)}

    assert {name.strip("`"): default for name, (default, _) in rows.items()} == defaults


def test_the_table_of_regions_has_every_known_region():
    rows = table(section("authentication.md", "Regions"))

    assert {name: domain for name, (domain,) in rows.items()} == REGIONS


def test_the_table_of_filters_has_every_filter():
    rows = table(section("lists.md", "Filters and sort order"))

    assert {name.strip("`") for name in rows} == AppointmentFilters.__annotations__.keys()


def test_the_table_of_faults_has_every_kind():
    faults = section("testing.md", "The sandbox").partition("| kind of")[2]

    kinds = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in faults.splitlines() if row.startswith("| `")))

    assert sorted(kinds) == sorted(KINDS)


def test_the_table_of_the_sandbox_has_every_option():
    rows = table(section("testing.md", "The sandbox"))

    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == inspect.signature(Sandbox).parameters.keys()


def test_the_policy_names_every_dependency_with_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"": project["dependencies"]} | project["optional-dependencies"]
    needed = {
        (extra, each) for extra, all_of_it in extras.items() for each in all_of_it if "coaching_async[" not in each
    }
    rows = re.findall(r"^\| (.*?) ?\| `(\S+)` \| .*\|$", (DOCS / "policy.md").read_text(), re.MULTILINE)

    assert {(extra, package) for names, package in rows for extra in re.findall(r"`(\w+)`", names) or [""]} == needed
