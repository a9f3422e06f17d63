"""Known vulnerabilities of what an installation brings, found by pip-audit in the database of PyPI.

Only an answer for every single library is a pass: pip-audit itself ends with 0 where it got none.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ADVICE", "audit", "problems_of_answer"]

ADVICE = "check it where PyPI answers; AUDIT=no leaves it out"


def audit(requirements: Path) -> list[str]:
    """Return what is known to be vulnerable, or could not be looked up, of a complete list of pinned requirements."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", requirements, "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "--format=json", "--progress-spinner=off"], capture_output=True, text=True, check=False
    )
    pinned = {line.partition("==")[0] for line in requirements.read_text().splitlines() if "==" in line}
    return list(problems_of_answer(done.stdout, done.stderr, len(pinned)))


def problems_of_answer(answer: str, errors: str, asked: int) -> Iterator[str]:
    """Yield a line for each library that is vulnerable, and one for those of which nothing is known."""
    try:
        found = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (errors.strip().splitlines() or ["no answer"])[-1]
        yield f"no vulnerability service can be reached: {reason}; {ADVICE}"
        return
    looked_up = [each for each in found if "vulns" in each]
    for each in looked_up:
        for known in each["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            yield f"{each['name']} {each['version']}: {known['id']}, fixed in {fixed}"
    if len(looked_up) < asked:
        yield f"the vulnerability service has no answer for {asked - len(looked_up)} of {asked} libraries; {ADVICE}"
