"""Every Python block of the documentation runs, and says nothing that is not so."""

import ast
import inspect
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from coaching_async import CoachingClient
from coaching_async.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Sandbox

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def environment(sandbox: Sandbox) -> dict[str, str]:
    return {
        "GENESYSCLOUD_REGION": sandbox.base_url,
        "GENESYSCLOUD_OAUTHCLIENT_ID": CLIENT_ID,
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": CLIENT_SECRET,
    }


def test_the_program_in_the_readme_runs_as_it_stands(tmp_path: Path):
    (program,) = BLOCK.findall((ROOT / "README.md").read_text())

    with Sandbox(appointments=100) as sandbox:
        command = [sys.executable, "-W", "error", "-X", "dev", "-W", "ignore::ResourceWarning", "-c", program]
        subprocess.run(command, cwd=tmp_path, env=os.environ | environment(sandbox), check=True, timeout=20)

    assert (tmp_path / "appointments.jsonl").read_text().count("\n") > 1


@pytest.mark.anyio
@pytest.mark.real_time
async def test_every_block_of_the_tour_runs_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    blocks = BLOCK.findall((ROOT / "docs" / "tour.md").read_text())
    assert len(blocks) >= 10
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.NOTSET)  # one of them sets it

    async with Sandbox(appointments=200) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        async with httpx.AsyncClient() as http:
            form = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
            answer = await http.post(f"{sandbox.login_url}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
        names = {"users_token": answer.json()["access_token"], "sandbox_url": sandbox.base_url}
        async with CoachingClient.from_env() as client:
            for number, block in enumerate(blocks, 1):
                code = compile(block, f"docs/tour.md, block {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                result = eval(code, names)
                if inspect.isawaitable(result):
                    await result
                names["client"] = client  # the blocks take it to be open


def test_every_block_of_the_page_on_testing_is_a_test_that_passes(tmp_path: Path):
    conftest, *blocks = BLOCK.findall((ROOT / "docs" / "testing.md").read_text())
    (tmp_path / "conftest.py").write_text(conftest)
    for number, block in enumerate(blocks):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    plugins = ("anyio.pytest_plugin", "pytest_asyncio.plugin", "respx.plugin")
    options = ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *options, *(f"-p{each}" for each in plugins), tmp_path]

    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, check=False, timeout=25, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stdout


def test_every_block_of_the_page_on_web_applications_runs(monkeypatch: pytest.MonkeyPatch):
    page = re.sub(r"^  (?=\S|  )", "", (ROOT / "docs" / "web.md").read_text(), flags=re.MULTILINE)
    blocks = BLOCK.findall(page)
    assert len(blocks) == 4
    names = {"__name__": "docs.web"}
    with Sandbox(appointments=20) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        for number, block in enumerate(blocks, 1):
            exec(compile(block, f"docs/web.md, block {number}", "exec"), names)


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
