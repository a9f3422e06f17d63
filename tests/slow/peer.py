"""The service of test_soak.py, in a process of its own: a sandbox behind a proxy, both with random faults.

Run as a program with a seed. It prints the proxy's URL, and ends when its standard input does.
"""

import random
import select
import sys
import time

from coaching_async.sandbox import Fault as Ordered
from coaching_async.sandbox import Sandbox
from tests.support.fault_server import Fault, FaultProxy


def ordered(choices: random.Random) -> Ordered:
    """Return a fault for one of the next requests."""
    after = choices.randrange(30)
    match choices.randrange(12):
        case 0:
            return Ordered("status", after=after, path="^/api/", status=choices.choice([400, 403, 409, 500, 502, 503]))
        case 1:
            return Ordered("status", after=after, path="^/api/", status=429, retry_after=0)
        case 2:
            return Ordered("status", path="oauth/token", status=503)
        case 3:
            return Ordered("revoke", after=after, path="^/api/")
        case 4:
            return Ordered("gzip_bomb", after=after, size=2 ** choices.randrange(10, 25))
        case 5:
            return Ordered("redirect", after=after, location="https://elsewhere.example/x")
        case 6:
            return Ordered("drip", after=after, delay=0.001)
        case _:
            kinds = ["drop_before", "drop_after", "half_body", "garbage", "html", "wrong_shape", "stall", "accepted"]
            return Ordered(choices.choice(kinds), after=after)


def main(seed: str) -> None:
    def plan(number: int) -> Fault:
        choices = random.Random(f"{seed} {number}")
        kind = choices.choices(["cut", "reset", "delay", "blackhole"], [40, 40, 15, 5])[0]
        at = choices.choice([choices.randrange(1_000), choices.randrange(50_000)])
        return Fault(kind, choices.choice(["up", "down"]), at, seconds=choices.uniform(0, 0.1))

    choices = random.Random(seed)
    with (
        Sandbox(appointments=300, users=4, requests_kept=1) as sandbox,
        FaultProxy(int(sandbox.base_url.rpartition(":")[2]), plan) as proxy,
    ):
        print(proxy.url, flush=True)  # noqa: T201 # for the process that started it
        stale = time.monotonic()
        while not select.select([sys.stdin], [], [], 0.01)[0]:
            if not sandbox.faults.pending or time.monotonic() > stale:
                sandbox.faults.clear()
                sandbox.faults.add(ordered(choices))
                stale = time.monotonic() + 0.5


if __name__ == "__main__":
    main(sys.argv[1])
