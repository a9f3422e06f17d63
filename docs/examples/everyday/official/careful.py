"""What a careful program writes once around the official SDK, and all the programs beside this one share."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from PureCloudPlatformClientV2 import Configuration
from PureCloudPlatformClientV2.api_client import ApiClient
from PureCloudPlatformClientV2.default_http_client import DefaultHttpClient
from PureCloudPlatformClientV2.rest import ApiException


class Retry(urllib3.Retry):
    """Sends again what the rate limit refused, whatever it is; the SDK itself would send a write again after anything."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether to send it again after an answer with that status."""
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
    """An HTTP client with time limits, which the SDK has none of, and connections for ten threads."""
    client = DefaultHttpClient()
    pools = client.rest_client.pool_manager.connection_pool_kw
    pools.update(retries=retries, maxsize=10, timeout=urllib3.Timeout(connect=5, read=15))
    return client


class CarefulClient(ApiClient):
    """A client that renews its token when it is refused, once, however many threads are told so."""

    def __init__(self, log_in: Callable[[ApiClient], object], http_client: DefaultHttpClient | None = None) -> None:
        super().__init__()
        self.set_http_client(http_client or http())
        self._log_in, self._lock = log_in, threading.Lock()
        Configuration().should_refresh_access_token = False  # it would ask without end, where it is refused again

    def call_api(self, *arguments: Any, **options: Any) -> Any:
        """Every method of every API of the SDK comes by here."""
        used = self.access_token or self._renewed("")
        try:
            return super().call_api(*arguments, **options)
        except ApiException as error:
            if error.status != 401:
                raise
        self._renewed(used)
        return super().call_api(*arguments, **options)

    def _renewed(self, used: str) -> str:
        with self._lock:
            if self.access_token == used:
                self._log_in(self)
            return self.access_token


def walk(fetch: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """Every item of a list, once; from its beginning again, where it has changed meanwhile and rows have moved."""
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
