"""The export, in a process of its own: `python nightly.py FILE USER_ID ...`."""

import asyncio
import sys

from shared import make_client, open_shared_state

from coaching_async.export import export


async def main(file: str, user_ids: list[str]) -> None:
    """Export the appointments of users."""
    async with open_shared_state() as state, make_client(state) as client:
        exported = await export(client, user_ids, file)
    print(f"{exported.items} appointments exported")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
