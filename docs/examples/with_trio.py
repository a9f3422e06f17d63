"""Print the last appointment of each user, on trio, with a timeout of 5 s: `python with_trio.py USER_ID ...`."""

import sys

import trio

from coaching_async import CoachingClient, CoachingError


async def main(user_ids: list[str]) -> None:
    """Print a line for each user, in the order of the responses."""
    async with CoachingClient.from_env() as client:

        async def show(user_id: str) -> None:
            try:
                last = await client.appointments.list(user_id, sort_order="Desc").first()
                print(user_id, last.name if last else "has none")
            except CoachingError as error:
                print(user_id, error)

        with trio.move_on_after(5):
            async with trio.open_nursery() as nursery:
                for user_id in user_ids:
                    nursery.start_soon(show, user_id)


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
