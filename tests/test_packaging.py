"""What an installation without extras contains."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from coaching_async import __version__
from tests.support.effort import in_make_long
from tests.support.other_pythons import LOWEST, TESTS, VERSIONS

ROOT = Path(__file__).parent.parent
# What the four dependencies themselves bring; typing_extensions only on older Pythons.
BROUGHT = {"certifi", "h11", "httpcore", "idna", "typing_extensions"}


@in_make_long  # and so does the check of a release, from the wheel
@pytest.mark.timeout(1800)  # it installs packages
def test_the_package_without_extras_installs_four_libraries_and_can_be_imported(tmp_path: Path):
    python = tmp_path / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", ROOT], check=True, cwd=tmp_path)

    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    installed = {each["name"].lower().replace("-", "_") for each in json.loads(listed)} - {"pip", "setuptools"}
    assert installed - BROUGHT == {"coaching_async", "httpx", "attrs", "cattrs", "anyio"}

    program = (
        "import coaching_async, pathlib; package = pathlib.Path(coaching_async.__file__).parent;"
        "assert (package / 'py.typed').exists(); assert 'site-packages' in str(package);"
        "coaching_async.CoachingClient(coaching_async.AccessToken('t'));"
        "import importlib.metadata; print(importlib.metadata.version('coaching_async'), coaching_async.__version__)"
    )
    done = subprocess.run(
        [python, "-W", "error", "-c", program], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"{__version__} {__version__}\n"

    command = subprocess.run([tmp_path / "bin" / "coaching-async"], check=False, capture_output=True, text=True)
    assert command.returncode == 1
    assert command.stderr == (
        "coaching-async: click is missing; install the command with: pip install 'coaching_async[cli]'\n"
    )


def test_the_classifiers_name_the_pythons_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == f">={VERSIONS[0]}"
    prefix = "Programming Language :: Python :: 3."
    assert tuple(classifier[-4:] for classifier in project["classifiers"] if classifier.startswith(prefix)) == VERSIONS
    assert f"tested on {VERSIONS[0]} to {VERSIONS[-1]}" in (ROOT / "README.md").read_text()


def test_the_lowest_versions_that_are_tested_are_those_that_the_extras_allow():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    allowed = {requirement for requirements in extras.values() for requirement in requirements}
    assert {each.replace("==", ">=") for each in LOWEST} <= allowed


@pytest.mark.parametrize("test", TESTS)
def test_the_tests_that_run_on_other_pythons_are_there(test: str):
    path, _, name = test.partition("::")

    assert f"def {name}(" in (ROOT / path).read_text() if name else (ROOT / path).exists()
