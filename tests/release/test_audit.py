"""Known vulnerabilities: only an answer for every library is a pass."""

import json
from typing import Any

from tests.release.audit import ADVICE, problems_of_answer

SOUND = {"name": "anyio", "version": "4.16.0", "vulns": []}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.0",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1.6"]}, {"id": "GHSA-2", "fix_versions": []}],
}
SKIPPED = {"name": "httpx", "skip_reason": "Dependency not found on PyPI and could not be audited: httpx (0.28.1)"}


def answer(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_libraries_without_known_vulnerabilities_pass():
    assert list(problems_of_answer(answer(SOUND, SOUND), "", 2)) == []


def test_each_vulnerability_is_named_with_its_fix():
    assert list(problems_of_answer(answer(SOUND, VULNERABLE), "", 2)) == [
        "jinja2 3.1.0: GHSA-1, fixed in 3.1.6",
        "jinja2 3.1.0: GHSA-2, fixed in no version yet",
    ]


def test_a_library_that_was_not_looked_up_is_no_pass():
    no_answer = "the vulnerability service has no answer for 1 of 2 libraries; " + ADVICE

    assert list(problems_of_answer(answer(SOUND, SKIPPED), "", 2)) == [no_answer]
    assert list(problems_of_answer(answer(SOUND), "", 2)) == [no_answer]


def test_a_service_that_cannot_be_reached_is_no_pass():
    for said in ("", "[]", "{}", "<html>"):
        (found,) = problems_of_answer(said, "WARNING: x\nConnectionError: no route\n", 2)
        assert found == f"no vulnerability service can be reached: ConnectionError: no route; {ADVICE}"
