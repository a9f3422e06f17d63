"""Export the appointments of users in a quarter to a file of JSON lines."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from careful import iterate
from PureCloudPlatformClientV2 import CoachingApi


def export_quarter(api: CoachingApi, user_ids: Sequence[str], path: Path, year: int, quarter: int) -> None:
    """Write the file, or resume an interrupted export; the file gets its name when it is complete."""
    first, following = f"{year}-{3 * quarter - 2:02}", f"{year + quarter // 4}-{3 * quarter % 12 + 1:02}"
    interval = f"{first}-01T00:00:00.000Z/{following}-01T00:00:00.000Z"
    part = Path(f"{path}.part")
    with part.open("a+b") as file:
        file.seek(0)
        kept = file.read()
        whole = kept[: kept.rfind(b"\n") + 1]  # the last line may be incomplete
        file.truncate(len(whole))
        seen = {json.loads(line)["id"] for line in whole.splitlines()}
        for start in range(0, len(user_ids), 100):
            for found in iterate(api.get_coaching_appointments, user_ids[start : start + 100], interval=interval):
                if found.id not in seen:
                    seen.add(found.id)
                    file.write(json.dumps(api.api_client.sanitize_for_serialization(found)).encode() + b"\n")
                    if len(seen) % 100 == 0:
                        file.flush()
                        os.fsync(file.fileno())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
