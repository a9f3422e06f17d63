"""The vendor's SDK, which carries out one order at a time in an environment of its own.

An order is a line of JSON: the name of one of the functions below and its arguments. The output is a line of JSON as well: the seconds that it took.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813 # as in the vendor's examples, but shorter
import urllib3

Api = Any
Measures = dict[str, float]


class Answer:
    """The attributes of a response that the SDK's decoding uses."""

    def __init__(self, data: str) -> None:
        self.data = data

    def getheader(self, _: str) -> str:
        return "application/json"


def decode(path: str, times: int) -> Measures:
    answer = Answer(Path(path).read_text())
    client = sdk.api_client.ApiClient(host="http://127.0.0.1")
    return taken(lambda: [client.deserialize(answer, "CoachingAppointmentResponseList") for _ in range(times)])


def fetch(url: str, pages: int, size: int, threads: int, user_ids: list[str], token: str, kept: bool) -> Measures:
    """Read pages in threads, each with a client of its own, because a shared client has four connections."""
    numbers = iter(range(1, pages + 1))
    items: list[Any] = []
    ids: set[str] = set()

    def work(api: Api) -> None:
        for number in numbers:
            entities = api.get_coaching_appointments(user_ids, page_number=number, page_size=size).entities
            if kept:
                items.extend(entities)
            else:
                for entity in entities:
                    ids.add(entity.id)

    measures = in_threads(url, threads, token, work)
    assert len({item.id for item in items} if kept else ids) == pages * size
    return measures


def reads(url: str, ids: list[str], threads: int, token: str) -> dict[str, Any]:
    """Read each appointment, and again after a 429, in a simple loop."""
    todo = iter(ids)
    came: list[float] = []
    failed: list[str] = []

    def work(api: Api) -> None:
        for each in todo:
            try:
                read(api, each)
            except (sdk.rest.ApiException, urllib3.exceptions.HTTPError) as error:
                failed.append(type(error).__name__)
            else:
                came.append(time.perf_counter() - began)

    began = time.perf_counter()
    in_threads(url, threads, token, work)
    return {"came": sorted(came), "failed": len(failed)}


def read(api: Api, appointment_id: str) -> object:
    while True:
        try:
            return api.get_coaching_appointment(appointment_id)
        except sdk.rest.ApiException as error:
            if error.status != 429:
                raise
            time.sleep(float(error.headers["Retry-After"]))


def in_threads(url: str, threads: int, token: str, work: Callable[[Api], None]) -> Measures:
    apis = [sdk.CoachingApi(client_of(url, token)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return taken(lambda: list(pool.map(work, apis)))


def client_of(url: str, token: str) -> Api:
    client = sdk.api_client.ApiClient(host=url)
    client.access_token = token
    client.get_http_client()  # creating it reads certificates, which is not measured
    return client


def taken(work: Callable[[], object]) -> Measures:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def main() -> None:
    for line in sys.stdin:
        name, arguments = json.loads(line)
        gc.collect()
        print(json.dumps(globals()[name](**arguments)), flush=True)


if __name__ == "__main__":
    main()
