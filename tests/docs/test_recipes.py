"""The recipes run, and the sidebar leads to each of them."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from coaching_async.sandbox import Sandbox
from tests.support.cli import command_of, environment
from tests.support.markdown import ROOT, blocks, links

DOCS = ROOT / "docs"
SCHEDULER = DOCS / "recipes" / "scheduler.md"


@pytest.mark.parametrize("page", [SCHEDULER, DOCS / "report.md"], ids=lambda page: page.name)
def test_the_commands_of_scripts_and_units_have_options_that_exist(page: Path, tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    schedules = "\n".join(block.text for language in ("text", "ini") for block in blocks(page, language))
    of_a_day = re.sub(r"\$+\([^)]*\)|\$day", "2026-11-22", schedules.replace("\\\n", " "))

    found = re.findall(r"coaching-async (\w+) ([^|'\n]*)", of_a_day)

    assert found
    for name, options in found:
        command_of(name).make_context(name, shlex.split(options))


@pytest.mark.real_time
def test_the_function_for_a_scheduler_exports_a_day_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (program,) = blocks(SCHEDULER, "python")
    names: dict[str, Any] = {}
    exec(program.text, names)
    with Sandbox(appointments=200) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        day = max(each["dateStart"] for each in sandbox.state.appointments.values())[:10]

        exported = names["task"](day, str(tmp_path))
        requests = len(sandbox.requests)
        again = names["task"](day, str(tmp_path))

    assert exported == again
    assert (tmp_path / f"{day}.csv").exists()
    assert not any("/appointments" in request.path for request in sandbox.requests[requests:])


def test_every_everyday_program_is_a_recipe():
    shown = {(DOCS / "recipes" / link.partition("#")[0]).resolve() for link in links(DOCS / "recipes" / "index.md")}

    assert set((DOCS / "examples" / "everyday" / "ours").glob("*.py")) <= shown
