"""One export in a process of its own.

    python -m benchmarks.export_worker '{"url": ..., "token": ..., "user_ids": [...], "path": ..., "limit": [...], "options": {...}}'

The output is a line of JSON: the items, the seconds that it took, and the memory that the process had at most.
"""

import json
import resource
import sys
from typing import Any

import anyio

from benchmarks.clocks import clocks
from coaching_async import AccessToken, CoachingClient, RateLimit
from coaching_async.export import export

__all__: list[str] = []


async def work(url: str, token: str, user_ids: list[str], path: str, limit: list[float], options: Any) -> None:
    """Export, and print what it took."""
    rate_limit = RateLimit(int(limit[0]), per=limit[1])
    with clocks() as taken:
        async with CoachingClient(AccessToken(token), base_url=url, rate_limit=rate_limit) as client:
            done = await export(client, user_ids, path, **options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"items": done.items, "cpu": taken.cpu, "wall": taken.wall, "memory": memory}))


if __name__ == "__main__":
    anyio.run(lambda: work(**json.loads(sys.argv[1])))
