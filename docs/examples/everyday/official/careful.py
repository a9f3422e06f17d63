"""Retries, timeouts, token refresh and pagination around the official SDK, shared by the programs in this folder."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from PureCloudPlatformClientV2 import Configuration
from PureCloudPlatformClientV2.api_client import ApiClient
from PureCloudPlatformClientV2.default_http_client import DefaultHttpClient
from PureCloudPlatformClientV2.rest import ApiException


class Retry(urllib3.Retry):
    """Retry policy that retries any request after a 429; the SDK itself would retry a write after any fault."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Return whether to retry after a response with that status."""
        return status_code == 429 or super().is_retry(method, status_code, has_retry_after)


USUAL = Retry(
    total=5,
    allowed_methods={"GET", "DELETE"},
    status_forcelist={408, 500, 502, 503, 504},
    backoff_factor=0.5,
    backoff_jitter=0.5,
    retry_after_max=180,
    raise_on_status=False,
)


def http(retries: urllib3.Retry = USUAL) -> DefaultHttpClient:
    """Return an HTTP client with timeouts, which the SDK does not have, and connections for ten threads."""
    client = DefaultHttpClient()
    pools = client.rest_client.pool_manager.connection_pool_kw
    pools.update(retries=retries, maxsize=10, timeout=urllib3.Timeout(connect=5, read=15))
    return client


class CarefulClient(ApiClient):
    """Client that refreshes its token after a 401, once for all threads."""

    def __init__(self, log_in: Callable[[ApiClient], object], http_client: DefaultHttpClient | None = None) -> None:
        super().__init__()
        self.set_http_client(http_client or http())
        self._log_in, self._lock = log_in, threading.Lock()
        Configuration().should_refresh_access_token = False  # it would retry forever if the new token is refused too

    def call_api(self, *arguments: Any, **options: Any) -> Any:
        """Make the call of any method of any API of the SDK."""
        used = self.access_token or self._refreshed("")
        try:
            return super().call_api(*arguments, **options)
        except ApiException as error:
            if error.status != 401:
                raise
        self._refreshed(used)
        return super().call_api(*arguments, **options)

    def _refreshed(self, used: str) -> str:
        with self._lock:
            if self.access_token == used:
                self._log_in(self)
            return self.access_token


def iterate(fetch: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """Yield each item of a list once; start again from the first page if the list has changed and rows have moved."""
    seen, number, total = set(), 1, None
    while True:
        page = fetch(*arguments, page_number=number, page_size=100, **options)
        if number > 1 and page.total != total:
            number = 1
            continue
        for item in page.entities:
            if item.id not in seen:
                seen.add(item.id)
                yield item
        if not page.entities or number >= page.page_count:
            return
        number, total = number + 1, page.total
