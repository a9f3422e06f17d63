"""Count the appointments of each user, many users concurrently, on asyncio: `python with_asyncio.py USER_ID ...`."""

import asyncio
import sys

from coaching_async import CoachingClient


async def main(user_ids: list[str]) -> None:
    """Print a line for each user, in order."""
    async with CoachingClient.from_env() as client:

        async def count(user_id: str) -> int:
            return len(await client.appointments.list(user_id).collect())

        result = await client.bulk(count, user_ids)
    for outcome in result.outcomes:
        print(outcome.item, outcome.value if outcome.is_ok else outcome.error)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
