"""The wheel and the source archive have what belongs there, and nothing else."""

import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.release import archives
from tests.release.environments import EXTRAS, untested_bounds

ROOT = Path(__file__).parents[2]
TRACKED = [
    "coaching_async/__init__.py",
    "coaching_async/py.typed",
    "coaching_async/report/style.css",
    "coaching_async/sandbox/_server/openapi.json",
    "coaching_async/sandbox/_server/static/docs.html",
    ".ci/run",
    "LICENSE",
    "tests/test_client.py",
]
METADATA = [f"coaching_async-1.0.dist-info/{name}" for name in archives.METADATA]


def files(*names: str) -> dict[str, bytes]:
    return dict.fromkeys(names, b"")


WHEEL = files(*(name for name in TRACKED if name.startswith("coaching_async/")), *METADATA)
SOURCE = files(*(name for name in TRACKED if name != ".ci/run"), "PKG-INFO")


def test_what_belongs_there_is_no_problem():
    assert archives.problems_of_wheel(WHEEL, TRACKED) == []
    assert archives.problems_of_source(SOURCE, TRACKED) == []


@pytest.mark.parametrize("name", sorted(WHEEL))
def test_whatever_is_missing_in_a_wheel_is_found(name: str):
    (found,) = archives.problems_of_wheel({each: b"" for each in WHEEL if each != name}, TRACKED)

    assert "is missing" in found


@pytest.mark.parametrize("name", sorted(SOURCE.keys() - {"PKG-INFO"}))
def test_whatever_is_missing_in_a_source_archive_is_found(name: str):
    assert archives.problems_of_source({each: b"" for each in SOURCE if each != name}, TRACKED) == [
        f"{name} is missing"
    ]


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".venv/bin/activate.py",
        "build/lib/coaching_async/__init__.py",
        "coaching_async/__pycache__/__init__.cpython-311.pyc",
        "coaching_async/__pycache__/kept.py",
        "coaching_async/.mypy_cache/a.json",
        "coaching_async/build/made.py",
        "coaching_async/key.pem",
        "coaching_async/notes.txt",
        "coaching_async/tests/support.py",
        "coaching_async/test_client.py",
        "coaching_async/_serialization/_speedups.so",
        "tests/.hypothesis/examples/1",
        "tests/secret.pem",
        "appointments.jsonl",
    ],
)
def test_what_belongs_in_no_archive_is_found_even_if_git_tracks_it(name: str):
    tracked = [*TRACKED, name]

    found = f"{name} does not belong there"
    assert found in archives.problems_of_wheel(WHEEL | files(name), tracked)
    assert found in archives.problems_of_source(SOURCE | files(name), tracked)


@pytest.mark.parametrize(
    "name", ["tests/test_client.py", "docs/tour.md", "benchmarks/guard.py", "tests/release/audit.py"]
)
def test_tests_documentation_and_programs_do_not_belong_in_a_wheel(name: str):
    assert archives.problems_of_wheel(WHEEL | files(name), TRACKED) == [f"{name} does not belong there"]


def test_what_git_does_not_track_is_found():
    assert archives.problems_of_wheel(WHEEL | files("coaching_async/_new.py"), TRACKED) == [
        "coaching_async/_new.py is not tracked by git"
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIEpAIBAAKCAQEA" * 5,
        b"password = pypi-" + b"AgEIcHlwaS5vcmcCJDY3",
        b"GH_TOKEN=ghp_" + b"0123456789" * 3 + b"abcdef",
        b"AKIA" + b"ABCDEFGHIJKLMNOP",
    ],
)
def test_a_secret_in_a_file_is_found(content: bytes):
    wheel = WHEEL | {"coaching_async/__init__.py": content}

    assert archives.problems_of_wheel(wheel, TRACKED) == ["coaching_async/__init__.py has a secret in it"]


def test_archives_are_compared_by_content():
    one, other = {"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"3", "d": b"4"}

    assert archives.differences(one, other) == ["b", "c", "d"]
    assert archives.differences(one, dict(reversed(one.items()))) == []


def test_the_files_of_a_wheel_are_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("a/b.py", "1")
        wheel.mkdir("c")

    assert archives.files_of(tmp_path / "a.whl") == {"a/b.py": b"1"}


def test_every_extra_is_tried_on_its_own():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert EXTRAS.keys() == project["optional-dependencies"].keys()


def test_a_lower_bound_that_no_test_runs_with_is_found():
    pyproject = """
        [project]
        dependencies = ["a>=1.2", "b>=2.0.1,<3"]
        [project.optional-dependencies]
        x = ["c-d>=4", "project[y]"]
    """

    assert list(untested_bounds("a==1.2.0\nb==2.0.1\nc-d==4.0", pyproject)) == []
    assert list(untested_bounds("a==1.2.1\nb==2.0.1\nc-d==4.0", pyproject)) == [
        "a: the tests run with 1.2.1, and 1.2 is allowed"
    ]
