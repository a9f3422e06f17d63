"""Use the official SDK and this client in one process, with one token.

    python both.py USER_ID ...

It reads the org from the environment: GENESYSCLOUD_REGION (its domain, or the URL of its API),
GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence

import anyio
from anyio.to_thread import run_sync
from PureCloudPlatformClientV2 import CoachingApi
from PureCloudPlatformClientV2.api_client import ApiClient

from coaching_async import CoachingClient, RateLimit


class SdkToken:
    """Token source that shares the token of the SDK's client; the first request that gets a 401 refreshes it."""

    def __init__(self, api_client: ApiClient, log_in: Callable[[ApiClient], object]) -> None:
        self._api_client, self._log_in, self._lock = api_client, log_in, threading.Lock()

    async def token(self, rejected: str | None = None) -> str:
        """Return a token that is not the `rejected` one."""
        if self._api_client.access_token in {"", rejected}:
            await run_sync(self._refresh, rejected)  # in a thread, because the SDK blocks
        return self._api_client.access_token

    def _refresh(self, rejected: str | None) -> None:
        with self._lock:
            if self._api_client.access_token in {"", rejected}:
                self._log_in(self._api_client)


async def main(user_ids: Sequence[str]) -> tuple[int | None, int]:
    """Return the number of appointments of the users, as this client and the SDK count them."""
    region, client_id, secret = (
        os.environ[f"GENESYSCLOUD_{name}"] for name in ("REGION", "OAUTHCLIENT_ID", "OAUTHCLIENT_SECRET")
    )
    half = RateLimit(150, per=60.0)  # because the service counts the requests of both
    api_client = ApiClient(region if "://" in region else f"https://api.{region}")
    shared = SdkToken(api_client, lambda api: api.get_client_credentials_token(client_id, secret))
    async with CoachingClient(shared, region=region, rate_limit=half) as client:
        here = await client.appointments.list(user_ids).total()
        page = await run_sync(lambda: CoachingApi(api_client).get_coaching_appointments(list(user_ids)))
        return here, page.total


if __name__ == "__main__":
    print(*anyio.run(main, sys.argv[1:]))
