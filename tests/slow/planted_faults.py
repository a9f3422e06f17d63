"""Faults planted into the listener, one at a time: the named test has to notice each.

The script works on a copy of the project. Run it with parts of the faults' names to plant these alone. The exit code is 1 if a
fault is not noticed, or if a test fails without one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]

LAWS = "tests/channels/test_listening_laws.py"
MACHINE = "tests/channels/machine/test_state_machine.py"


@attrs.frozen
class PlantedFault:
    """A change of a module of `_channels`, and the test that has to notice it."""

    name: str
    module: str
    before: str
    after: str
    test: str


FAULTS = [
    PlantedFault(
        "no deduplication",
        "receivers",
        "if notification.id in self._known:",
        "if False:",
        f"{LAWS}::test_a_notification_whose_event_is_late_comes_once",
    ),
    PlantedFault(
        "dropped events count as known",
        "receivers",
        "elif self._buffer.offer(notification):",
        "elif self._buffer.offer(notification) or True:",
        f"{LAWS}::test_a_reader_that_stands_still_gets_everything_and_the_buffer_stays_bounded",
    ),
    PlantedFault(
        "no catch-up after a reconnect",
        "machine/state_machine",
        "        self._catch_up(reason, now)\n        self._sockets.is_ready",
        '        self._catch_up(reason, now) if reason != "opened" or not self.is_ready else None\n        self._sockets.is_ready',
        f"{LAWS}::test_what_is_made_while_no_socket_is_open_comes_when_one_is_open_again",
    ),
    PlantedFault(
        "no catch-up after a move",
        "machine/state_machine",
        "        self._catch_up(reason, now)\n        self._sockets.is_ready",
        '        self._catch_up(reason, now) if reason != "moved" else None\n        self._sockets.is_ready',
        f"{MACHINE}::test_when_the_next_socket_has_spoken_it_is_live_and_the_previous_one_is_read_for_five_seconds_more",
    ),
    PlantedFault(
        "no catch-up after dropped events",
        "machine/state_machine",
        'case ReportGap(reason="unreadable" | "overflow" as reason):',
        'case ReportGap(reason="unreadable" as reason):',
        f"{LAWS}::test_a_reader_that_stands_still_gets_everything_and_the_buffer_stays_bounded",
    ),
    PlantedFault(
        "handing out at the end of a catch-up",
        "catch_up",
        "                yield from self._hand_out(page)\n                reading.digests",
        "                self.late = [*getattr(self, 'late', []), page]\n                reading.digests",
        "tests/channels/test_catch_up.py::test_what_stands_before_a_page_that_fails_is_handed_out_and_the_next_catch_up_goes_on_at_that_page",
    ),
    PlantedFault(
        "baseline after the subscription",
        "streams",
        "            await receiver.catch_up()  #",
        "            pass  #",
        f"{LAWS}::test_what_is_made_while_the_block_is_entered_comes_once",
    ),
    PlantedFault(
        "a channel that is gone is used again",
        "machine/sockets",
        "_CHANNEL_GONE = (400, 401, 403, 404, 410)",
        "_CHANNEL_GONE = (400, 401, 403, 410)",
        f"{MACHINE}::test_a_refused_handshake_says_whether_the_channel_is_gone",
    ),
    PlantedFault(
        "backoff reset when a socket is open",
        "machine/sockets",
        "        slot.opened(now)\n",
        "        slot.opened(now)\n        self._backoff.reset()\n",
        f"{MACHINE}::test_a_socket_that_dies_at_once_does_not_end_the_backoff",
    ),
    PlantedFault(
        "the previous socket closed before the next one has spoken",
        "machine/sockets",
        "        self._next = self._subscribe(self._take_spare(now))\n",
        "        self._next = self._subscribe(self._take_spare(now))\n        self.actions.append(Close(self.live.number if self.live else 0))\n",
        f"{LAWS}::test_a_planned_change_of_the_socket_loses_nothing_and_repeats_nothing",
    ),
    PlantedFault(
        "silence measured from the last event",
        "machine/sockets",
        "                slot.heard(now)\n                if slot is self._next:",
        "                slot.heard(now) if message.notification_id else None\n                if slot is self._next:",
        f"{MACHINE}::test_anything_that_is_heard_ends_the_silence",
    ),
    PlantedFault(
        "the address of a channel in a log record",
        "listener",
        "        del uri  #",
        '        __import__("logging").getLogger("coaching_async").debug(uri)\n        del uri  #',
        "tests/channels/test_secrets.py",
    ),
    PlantedFault(
        "the reader's task takes messages off the socket",
        "listener",
        "                    while True:\n                        self.put(Message(",
        "                    while True:\n                        await self._receiver._buffer.wait_for_room()\n                        self.put(Message(",
        f"{LAWS}::test_a_reader_that_stands_still_gets_everything_and_the_buffer_stays_bounded",
    ),
    PlantedFault(
        "frames of errors kept",
        "listener",
        "error.__traceback__ = None",
        "pass",
        "tests/channels/test_secrets.py",
    ),
    PlantedFault(
        "nobody is told of a gap",
        "machine/sockets",
        "                self.actions.append(self._gap)\n",
        "",
        f"{LAWS}::test_the_gap_in_a_stream_of_topics_stands_where_it_was",
    ),
    PlantedFault(
        "no audit",
        "machine/state_machine",
        '                    self._catch_up("audit", now)\n',
        "",
        f"{LAWS}::test_a_socket_that_brings_no_events_is_found_and_replaced",
    ),
    PlantedFault(
        "no polls",
        "machine/state_machine",
        '                    self._catch_up("poll", now)\n',
        "",
        f"{LAWS}::test_a_service_that_is_down_for_long_is_polled_and_found_again",
    ),
]


def run(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy. A test of which nothing comes is given up after a while."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATIENCE": "10"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=60", *tests]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def main() -> None:
    chosen = [fault for fault in FAULTS if not sys.argv[1:] or any(part in fault.name for part in sys.argv[1:])]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("coaching_async", "tests", "benchmarks"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        sound = run(folder, sorted({fault.test for fault in chosen}))
        if sound.returncode:
            sys.exit(f"without a fault:\n{sound.stdout[-3000:]}")
        for fault in chosen:
            path = folder / "coaching_async/_channels" / f"{fault.module}.py"
            code = path.read_text()
            if code.count(fault.before) != 1:
                sys.exit(f"{fault.name}: its place is not found once in {fault.module}.py")
            path.write_text(code.replace(fault.before, fault.after))
            done = run(folder, [fault.test])
            path.write_text(code)
            is_noticed = done.returncode == 1
            unnoticed += not is_noticed
            sys.stdout.write(
                f"{'noticed' if is_noticed else 'NOT NOTICED'}: {fault.name} ({fault.test.split('::')[-1]})\n"
            )
            sys.stdout.flush()
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
