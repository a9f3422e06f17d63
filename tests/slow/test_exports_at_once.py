"""One export that two processes are started for at once: one file, whole. A third one asks nothing."""

from pathlib import Path

import pytest

from coaching_async.export import FORMS
from coaching_async.sandbox import Sandbox
from tests.support.cli import environment, exported, of_all_users, started
from tests.support.export import ids


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("_", range(3))
def test_one_of_two_processes_makes_the_file_and_the_other_one_is_told(
    _: int, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with Sandbox(appointments=60, users=3, page_cap=20, latency=0.02) as sandbox:
        for name, value in environment(sandbox).items():
            monkeypatch.setenv(name, value)
        options = [*of_all_users(sandbox), "--out", f"x.{form}", "--resume=auto"]

        with started("export", *options, cwd=tmp_path) as one, started("export", *options, cwd=tmp_path) as other:
            ended = sorted((process.wait(), process.communicate()[1]) for process in (one, other))

        assert ended[0][0] == 0
        assert ended[1][0] == 0 or "another export" in ended[1][1]
        asked = len(sandbox.requests)
        assert exported(*options, cwd=tmp_path)[0] == 0
        assert len(sandbox.requests) == asked
        found = ids(tmp_path / f"x.{form}")
    assert (len(found), set(found)) == (60, set(sandbox.state.appointments))
    assert {path.name for path in tmp_path.iterdir()} == {f"x.{form}", f"x.{form}.part.checkpoint"}
