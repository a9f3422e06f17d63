"""What is in the wheel and in the source archive: all that belongs there, and nothing else."""

import hashlib
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

__all__ = ["differences", "files_of", "problems_of_source", "problems_of_wheel"]

PACKAGE = (
    r"coaching_async/((?!tests?/)\w+/)*(?!test_)\w+\.py",
    r"coaching_async/py\.typed",
    r"coaching_async/report/(style\.css|templates/page\.html)",
    r"coaching_async/sandbox/_server/(\w+\.)?openapi\.json",
    r"coaching_async/sandbox/_server/static/\w+\.(css|html|js)",
)
"""What is imported or read by the installed library."""

METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")

SOURCE = (
    *PACKAGE,
    r"(benchmarks|tests)/(\w+/)*[\w.]+\.(json|md|py|sh|txt)",
    r"docs/([\w-]+/)*[\w-]+\.(css|html|js|md|py|svg|toml)",
    r"(CHANGELOG|CONTRIBUTING|README|SECURITY)\.md",
    r"LICENSE|Makefile|PKG-INFO|pyproject\.toml|\.gitignore",
)
"""What it takes to build, test and document the library again."""

MADE = r"(.*/)?(__pycache__|build|dist|node_modules|site|venv)/.*"
"""Folders of what is made from the sources, whatever is in them."""

ONLY_IN_THE_REPOSITORY = r"\.ci/.*"

SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"'\\]{60}|\bpypi-AgE[\w-]{16}|\bgh[opsu]_\w{36}|\bAKIA[0-9A-Z]{16}\b"
)
"""A private key, or a token of PyPI, GitHub or AWS."""


def files_of(archive: Path) -> dict[str, bytes]:
    """Return the files of a wheel, or those of a source archive without its folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as source:
        found = {member.name.partition("/")[2]: source.extractfile(member) for member in source if not member.isdir()}
        return {name: file.read() if file else b"" for name, file in found.items()}


def problems_of_wheel(files: Mapping[str, bytes], tracked: Collection[str]) -> list[str]:
    """Return what is wrong with the files of a wheel, given those that git tracks."""
    info = r"coaching_async-[\w.]+\.dist-info/"
    inside = {re.sub(info, "", name) for name in files if re.match(info, name)}
    package = {name: content for name, content in files.items() if not re.match(info, name)}
    wanted = {name for name in tracked if name.startswith("coaching_async/")}
    return [
        *_foreign(package, PACKAGE, wanted),
        *(f"{name} is missing" for name in sorted(wanted - package.keys())),
        *(f"{name} is missing in the metadata" for name in sorted(set(METADATA) - inside)),
        *(f"{name} does not belong in the metadata" for name in sorted(inside - set(METADATA))),
    ]


def problems_of_source(files: Mapping[str, bytes], tracked: Collection[str]) -> list[str]:
    """Return what is wrong with the files of a source archive, given those that git tracks."""
    wanted = {name for name in tracked if not re.fullmatch(ONLY_IN_THE_REPOSITORY, name)}
    return [
        *_foreign(files, SOURCE, wanted | {"PKG-INFO"}),
        *(f"{name} is missing" for name in sorted(wanted - files.keys())),
    ]


def _foreign(files: Mapping[str, bytes], patterns: Collection[str], tracked: Collection[str]) -> Iterator[str]:
    for name, content in sorted(files.items()):
        if re.fullmatch(MADE, name) or not any(re.fullmatch(pattern, name) for pattern in patterns):
            yield f"{name} does not belong there"
        elif name not in tracked:
            yield f"{name} is not tracked by git"
        if SECRET.search(content):
            yield f"{name} has a secret in it"


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Return the names of the files that only one of two archives has, or that differ."""
    digests = [{name: hashlib.sha256(content).digest() for name, content in files.items()} for files in (one, other)]
    return sorted({name for name, _ in digests[0].items() ^ digests[1].items()})
