"""`FileSharedState`: what can happen to a file, and to the processes that use it."""

import os
import pickle
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from coaching_async import FileSharedState
from coaching_async._concurrency.tasks import MAX_THREADS, run_in_thread
from coaching_async._shared_state import file_store
from coaching_async.testing import assert_no_leaks
from tests.support.counting import COUNTER, count
from tests.support.fault_server import HANG

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


@pytest.fixture
def state(tmp_path: Path) -> FileSharedState:
    return FileSharedState(tmp_path / "state")


def execute(state: FileSharedState, statement: str) -> list[Any]:
    """Run a statement of SQL on the file, while no operation of a shared state is under way."""
    with closing(sqlite3.connect(state.path)) as database, database:
        return database.execute(statement).fetchall()


def listed(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def modes(folder: Path) -> set[int]:
    """Return who may read and write the files of a folder."""
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def allow(state: FileSharedState, mode: int) -> None:
    """Say who may read and write the file."""
    Path(state.path).chmod(mode)


def remove(state: FileSharedState) -> None:
    Path(state.path).unlink()


def replace(state: FileSharedState, other: FileSharedState) -> None:
    """Put the file of `other` in the place of that of `state`."""
    Path(other.path).replace(state.path)


@contextmanager
def locked(state: FileSharedState) -> Iterator[None]:
    """Let another process hold the lock of the file, as one does that is stopped in the middle of an operation."""
    program = f"import sqlite3; database = sqlite3.connect({state.path!r}, isolation_level=None)\n"
    program += "database.execute('BEGIN EXCLUSIVE'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


@pytest.mark.parametrize(
    "path, error, reason",
    [
        ("", ValueError, "the path of a FileSharedState is empty"),
        ("a\0b", ValueError, "contains a NUL character"),
        (
            "missing/state",
            ValueError,
            "a FileSharedState is made in a folder that exists, and .*missing is none; create it",
        ),
        ("~/state", ValueError, "made in a folder that exists"),
        (":memory:", ValueError, r"give its path, not :memory:; tests use .*\.MemorySharedState"),
        (".", ValueError, "is a folder; add a file name"),
        ("state/", ValueError, "is a folder; add a file name"),
        ("/dev/null", ValueError, "/dev/null is none; choose another path"),
        (b"state", TypeError, "is a str or a pathlib.Path, not bytes"),
        (None, TypeError, "is a str or a pathlib.Path, not None"),
        (3, TypeError, "is a str or a pathlib.Path, not int"),
    ],
)
def test_a_path_of_no_file_in_a_folder_is_refused(
    path: Any, error: type[Exception], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(error, match=reason):
        FileSharedState(path)
    assert not listed(tmp_path)


async def test_the_file_stays_the_same_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    state = FileSharedState("state")
    monkeypatch.chdir("/")

    await state.swap("a", None, "1", 60)

    assert (await FileSharedState(tmp_path / "state").load("a"))[0] == "1"


def test_making_one_opens_nothing(state: FileSharedState, tmp_path: Path):
    assert not listed(tmp_path)


async def test_it_is_copied_pickled_compared_and_shown_by_its_path(state: FileSharedState):
    copy = pickle.loads(pickle.dumps(state))

    assert copy == state
    assert hash(copy) == hash(state)
    assert repr(state) == f"FileSharedState(path={state.path!r})"


async def test_only_its_user_may_read_the_file_and_what_belongs_to_it(state: FileSharedState, tmp_path: Path):
    umask = os.umask(0)
    try:
        for number in range(3):
            await state.swap("a", str(number - 1) if number else None, str(number), 60)
            assert modes(tmp_path) == {0o600}
    finally:
        os.umask(umask)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
async def test_a_file_that_all_users_may_read_or_write_is_refused(mode: int, state: FileSharedState):
    await state.swap("a", None, "1", 60)
    allow(state, mode)

    for operation in (state.load("a"), state.swap("a", "1", "2", 60)):
        with pytest.raises(PermissionError, match="all users may read or write"):
            await operation
    allow(state, 0o660)  # a group that shares it is its users' decision
    assert (await state.load("a"))[0] == "1"


async def test_no_thread_and_no_descriptor_remains(state: FileSharedState):
    async with assert_no_leaks():
        await state.swap("a", None, "1", 60)
        await state.swap("a", None, "1", 60)
        await state.load("a")
        execute(state, "DROP TABLE texts")
        with pytest.raises(sqlite3.OperationalError):
            await state.load("a")


async def test_texts_that_are_no_longer_kept_are_removed_from_the_file(state: FileSharedState):
    await state.swap("a", None, "1", 0.001)
    await anyio.sleep(0.01)
    await state.swap("b", None, "2", 60)

    assert execute(state, "SELECT name FROM texts") == [("b",)]


async def test_what_was_written_before_the_machine_was_started_again_is_forgotten(state: FileSharedState):
    await state.swap("a", None, "1", 60)
    execute(state, "UPDATE texts SET written_at = written_at + 1000, keep_until = keep_until + 1000")

    assert (await state.load("a"))[0] is None
    assert not await state.swap("a", "1", "2", 60)
    assert await state.swap("a", None, "3", 60)
    assert (await state.load("a"))[0] == "3"


async def test_while_another_process_holds_the_lock_operations_fail_and_the_event_loop_goes_on(state: FileSharedState):
    await state.swap("a", None, "1", 60)
    steps = 0

    async def step() -> None:
        nonlocal steps
        while True:
            await anyio.sleep(0.001)
            steps += 1

    with locked(state):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)
            for operation in (state.load("a"), state.swap("a", "1", "2", 60)):
                before = steps
                with pytest.raises(TimeoutError, match="another process held the lock"):
                    await operation
                assert steps - before > 5
            tasks.cancel_scope.cancel()

    assert await state.swap("a", "1", "2", 60)


async def test_an_operation_that_waits_for_the_lock_is_cancelled_at_once_and_leaves_no_thread(
    state: FileSharedState, monkeypatch: pytest.MonkeyPatch
):
    await state.swap("a", None, "1", 60)
    monkeypatch.setattr(file_store, "LOCK_TIMEOUT", HANG)

    with locked(state):
        async with assert_no_leaks(within=HANG / 2):
            for _ in range(2 * MAX_THREADS):
                with anyio.move_on_after(0.05) as scope:
                    await state.swap("a", "1", "2", 60)
                assert scope.cancelled_caught

    assert (await state.load("a"))[0] == "1"


async def test_a_disk_that_hangs_holds_up_nothing_that_computes(
    state: FileSharedState, monkeypatch: pytest.MonkeyPatch
):
    disk_is_back = threading.Event()
    monkeypatch.setattr(file_store, "_create", lambda path: disk_is_back.wait(HANG))

    async with assert_no_leaks(within=HANG):
        try:
            for _ in range(2 * MAX_THREADS):
                with anyio.move_on_after(0.05) as scope:
                    await state.load("a")
                assert scope.cancelled_caught
            assert [each.name for each in threading.enumerate()].count("coaching_async") == MAX_THREADS
            assert await run_in_thread(lambda: "computed") == "computed"
        finally:
            disk_is_back.set()

    monkeypatch.undo()
    await state.load("a")


async def test_a_disk_that_is_full_fails_a_swap_and_keeps_what_is_there(state: FileSharedState):
    await state.swap("a", None, "1", 60)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(sqlite3.Error):
            await state.swap("a", "1", "2" * 1_000_000, 60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (await state.load("a"))[0] == "1"
    assert await state.swap("a", "1", "2", 60)


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(letter: FileSharedState):
    for operation in (letter.load("a"), letter.swap("a", None, "1", 60)):
        with pytest.raises(sqlite3.DatabaseError, match="file is not a database"):
            await operation


@pytest.fixture
def letter(state: FileSharedState) -> Iterator[FileSharedState]:
    """Return a state whose file is something else, which has to stay as it is."""
    file = Path(state.path)
    file.write_text(text := "a letter to my aunt\n" * 1000)
    file.chmod(0o600)
    yield state
    assert file.read_text() == text


async def test_a_file_of_another_program_is_refused(state: FileSharedState):
    execute(state, "CREATE TABLE letters (text)")
    allow(state, 0o600)

    for operation in (state.load("a"), state.swap("a", None, "1", 60)):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await operation


def damage(state: FileSharedState) -> bytes:
    """Overwrite all but the header of the file, and return what the file is then."""
    file = Path(state.path)
    file.write_bytes(damaged := file.read_bytes()[:100] + b"\xff" * (file.stat().st_size - 100))
    return damaged


def cut(state: FileSharedState, left: int, *, is_filled: bool) -> None:
    """Cut the file off, and fill it with zeros."""
    file = Path(state.path)
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:left] + b"\0" * (size - left if is_filled else 0))


def contents(state: FileSharedState) -> bytes:
    return Path(state.path).read_bytes()


@pytest.mark.parametrize("is_loaded", [True, False], ids=["load", "swap"])
async def test_a_file_that_a_loss_of_power_has_damaged_is_one_that_forgets(state: FileSharedState, is_loaded: bool):
    await state.swap("a", None, "1", 60)
    damage(state)

    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        await (state.load("a") if is_loaded else state.swap("a", "1", "2", 60))
    assert (await state.load("a"))[0] is None
    assert await state.swap("a", None, "3", 60)


@pytest.mark.parametrize("left", [0, 100, 2000, 4096], ids=lambda left: f"{left} bytes are left")
@pytest.mark.parametrize("is_filled", [False, True])
async def test_a_file_of_which_only_the_beginning_was_written_is_one_that_forgets(
    state: FileSharedState, left: int, is_filled: bool
):
    await state.swap("a", None, "1", 60)
    cut(state, left, is_filled=is_filled)

    for _ in range(2):
        with suppress(sqlite3.DatabaseError):
            await state.swap("a", "1", "lost", 60)

    assert await state.swap("a", None, "2", 60)
    assert (await state.load("a"))[0] == "2"


async def test_a_damaged_file_of_another_program_is_left_as_it_is(state: FileSharedState):
    execute(state, "CREATE TABLE texts (name, text, written_at, keep_until)")
    allow(state, 0o600)
    damaged = damage(state)

    for operation in (state.load("a"), state.swap("a", None, "1", 60)):
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            await operation
    assert contents(state) == damaged


async def test_a_file_that_is_removed_or_replaced_is_one_that_forgets(state: FileSharedState, tmp_path: Path):
    await state.swap("a", None, "1", 60)
    remove(state)

    assert (await state.load("a"))[0] is None
    assert await state.swap("a", None, "2", 60)
    other = FileSharedState(tmp_path / "other")
    await other.swap("a", None, "3", 60)
    replace(state, other)
    assert (await state.load("a"))[0] == "3"
    assert await state.swap("a", "3", "4", 60)


async def test_a_folder_that_is_removed_or_a_folder_in_its_place_is_an_error_of_the_system(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    state = FileSharedState(folder / "state")
    folder.rmdir()

    with pytest.raises(FileNotFoundError):
        await state.load("a")
    await anyio.Path(state.path).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        await state.load("a")


async def test_threads_with_event_loops_of_their_own_use_it_at_once(state: FileSharedState, anyio_backend_name: str):
    threads = [
        threading.Thread(target=anyio.run, args=(count, state, 20), kwargs={"backend": anyio_backend_name})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    await count(state, 20)
    for thread in threads:
        thread.join()

    assert (await state.load(COUNTER))[0] == "80"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of forks beside threads
def test_a_process_that_is_forked_in_the_middle_of_an_operation_goes_on(state: FileSharedState):
    anyio.run(count, state, 1)  # what is imported when it is needed is there
    stopped = threading.Event()

    async def count_on() -> None:
        while not stopped.is_set():
            await count(state, 1)

    thread = threading.Thread(target=anyio.run, args=(count_on,))
    thread.start()
    try:
        for _ in range(20):
            if not (child := os.fork()):
                signal.alarm(int(HANG))
                try:
                    anyio.run(count, state, 1)
                finally:
                    os._exit(0 if sys.exception() is None else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stopped.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of forks beside threads
def test_processes_that_create_the_file_at_once_find_it_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_store, "LOCK_TIMEOUT", HANG)
    for number in range(8):
        state = FileSharedState(tmp_path / f"state {number}")
        begin, begun = os.pipe()
        children: list[int] = []
        for _ in range(3):
            if not (child := os.fork()):
                try:
                    os.close(begun)
                    os.read(begin, 1)
                    anyio.run(state.load, "a")
                finally:
                    os._exit(0 if sys.exception() is None else 1)
            children.append(child)
        os.close(begun)
        os.close(begin)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what Python 3.12 says of forks beside threads
def test_a_process_that_is_killed_while_it_counts_leaves_a_file_that_is_whole(
    state: FileSharedState, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(file_store, "LOCK_TIMEOUT", HANG)
    last = 0
    for _ in range(5):
        if not (child := os.fork()):
            anyio.run(count, state, 1_000_000)
        try:
            deadline = time.monotonic() + HANG
            begin = last
            while last < begin + 20 and time.monotonic() < deadline:
                last = int(anyio.run(state.load, COUNTER)[0] or 0)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert begin + 20 <= last <= int(anyio.run(state.load, COUNTER)[0] or 0)
        anyio.run(count, state, 1)


@pytest.mark.parametrize("name", ["ein Zustand?mode=ro#1", "%41.db", "état", "'\"; --", ":memory:", "file:x"])
async def test_a_file_may_have_any_name(name: str, tmp_path: Path):
    state = FileSharedState(tmp_path / name)

    assert await state.swap("a", None, "1", 60)
    assert (await state.load("a"))[0] == "1"
    assert {each.removesuffix("-journal") for each in listed(tmp_path)} == {name}
