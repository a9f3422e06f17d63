"""Two exports of the same file at once: whichever step of one meets whichever of the other, one file, whole."""

import fcntl
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import attrs
import pytest

from coaching_async.export import ExportBusy
from coaching_async.export._unfinished_file import UnfinishedFile
from tests.support.export import contents
from tests.support.export import no_waiting_for_the_disk as no_waiting_for_the_disk

LINES = [b"1\n", b"2\n", b"3\n"]
ARGUMENTS = "a digest"


def as_a_whole(lines: Iterable[bytes], file: IO[bytes], _: Path) -> int:
    file.write(b"".join([b"rendered\n", *lines]))
    return 0


RENDERS = [pytest.param(None, id="lines"), pytest.param(as_a_whole, id="as a whole")]


def whole(render: Any) -> bytes:
    return b"".join([b"rendered\n", *LINES] if render else LINES)


def run(path: Path, render: Any) -> None:
    """Begin an export, or go on with it, to its end."""
    file = UnfinishedFile(path, render)
    try:
        file.begin_or_resume(ARGUMENTS, None, b"")
        for line in LINES[file.items :] if not file.is_complete else ():
            file.append(line, 1, None, 0)
        file.complete()
    finally:
        file.close()


@attrs.define
class Steps:
    """Counts what is done with files, and does something else before the `at`-th step."""

    at: int
    meanwhile: Callable[[], object]
    number: int = 0

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        for owner, name in (
            (Path, "open"),
            (Path, "exists"),
            (Path, "stat"),
            (Path, "unlink"),
            (Path, "replace"),
            (Path, "read_bytes"),
            (fcntl, "flock"),
        ):
            patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **how: Any) -> Any:
            self.number += 1
            if self.number == self.at:
                self.meanwhile()
            return work(*args, **how)

        return step


def is_told(work: Callable[[], object]) -> bool:
    """Do the work. Return whether it was told that another export is at work."""
    try:
        work()
    except ExportBusy:
        return True
    return False


def assert_whole(path: Path, render: Any) -> None:
    """Assert that the next one ends with a complete file, and with nothing else than its checkpoint."""
    run(path, render)
    checkpoint = contents(path.parent).pop("x.part.checkpoint")
    assert contents(path.parent) == {"x": whole(render), "x.part.checkpoint": checkpoint}
    assert json.loads(checkpoint)["items"] == len(LINES)


@pytest.mark.parametrize("render", RENDERS)
def test_whenever_the_first_one_ends_the_second_one_is_done_or_told(render: Any, tmp_path: Path):
    at, told = 0, 0
    while True:
        path = tmp_path / f"{at}" / "x"
        path.parent.mkdir()
        first = UnfinishedFile(path, render)
        first.begin_or_resume(ARGUMENTS, None, b"")
        for line in LINES:
            first.append(line, 1, None, 0)

        def end() -> None:
            first.complete()  # noqa: B023 # called in this round
            first.close()  # noqa: B023

        steps = Steps(at := at + 1, end)
        with pytest.MonkeyPatch.context() as patch:
            steps.patch(patch)
            told += is_told(lambda: run(path, render))  # noqa: B023
        if steps.number < at:
            break
        assert_whole(path, render)
    assert 0 < told < at
    first.close()


@pytest.mark.parametrize("render", RENDERS)
def test_whenever_a_second_one_starts_one_of_the_two_completes_the_file(render: Any, tmp_path: Path):
    at, told = 0, 0
    while True:
        path = tmp_path / f"{at}" / "x"
        path.parent.mkdir()
        second: list[bool] = []
        steps = Steps(at := at + 1, lambda: second.append(is_told(lambda: run(path, render))))  # noqa: B023
        with pytest.MonkeyPatch.context() as patch:
            steps.patch(patch)
            first = is_told(lambda: run(path, render))  # noqa: B023
        if steps.number < at:
            break
        assert [first, *second] != [True, True]
        told += second[0]
        assert path.read_bytes() == whole(render)
        assert_whole(path, render)
    assert 0 < told < at


@pytest.mark.parametrize("render", RENDERS)
def test_an_empty_file_that_a_kill_left_beside_a_complete_one_is_removed(render: Any, tmp_path: Path):
    run(tmp_path / "x", render)
    (tmp_path / "x.part").touch()

    assert_whole(tmp_path / "x", render)
