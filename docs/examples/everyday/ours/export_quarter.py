"""Export the appointments of users in a quarter to a file of JSON lines.

After an interruption the same call goes on where it stopped. It needs no extra.
"""

from collections.abc import Sequence
from pathlib import Path

import anyio

from coaching_async import CoachingClient, Interval
from coaching_async.export import export


async def export_quarter(client: CoachingClient, user_ids: Sequence[str], path: Path, year: int, quarter: int) -> None:
    """Write the file, or resume an interrupted export; the file gets its name when it is complete."""
    first, last = (Interval.month(year, 3 * quarter - back) for back in (2, 0))
    is_begun = await anyio.Path(f"{path}.part").exists()
    await export(client, user_ids, path, resume=is_begun, interval=(first.start, last.end))
