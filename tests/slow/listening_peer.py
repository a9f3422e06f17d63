"""The service of test_listening.py's soak, in a process of its own: a sandbox that makes notifications, and is disturbed.

Run as a program with a seed. It prints its URL and a token of the user whose notifications it makes. It ends when its standard
input does.
"""

import random
import select
import sys

from tests.support.chaos import chaotic_sandbox, disturb

RATE = 20.0
ORDERS = 2.0
LIST = 150
"""Notifications that are kept. The oldest are deleted."""


def main(seed: str) -> None:
    choices = random.Random(seed)
    with chaotic_sandbox() as sandbox:
        state = sandbox.state
        user_id = state.user_ids[0]
        print(sandbox.base_url, sandbox.user_token(user_id), flush=True)  # noqa: T201 # for the process that started it
        while not select.select([sys.stdin], [], [], 1 / RATE)[0]:
            sandbox.notify(user_id)
            with state.lock:
                for row in list(state.notifications_of(user_id))[:-LIST]:
                    del state.notifications[row["id"]]
            if choices.random() < ORDERS / RATE:
                disturb(sandbox, choices)


if __name__ == "__main__":
    main(sys.argv[1])
