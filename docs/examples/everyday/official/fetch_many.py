"""Fetch hundreds of appointments by their ids."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse
from PureCloudPlatformClientV2.rest import ApiException
from urllib3.exceptions import HTTPError


def fetch_many(
    api: CoachingApi, ids: Sequence[str]
) -> tuple[dict[str, CoachingAppointmentResponse], dict[str, Exception]]:
    """Return the appointments, and the errors of the other ids."""
    succeeded, failed = {}, {}
    with ThreadPoolExecutor(10) as pool:
        for id_, call in [(id_, pool.submit(api.get_coaching_appointment, id_)) for id_ in ids]:
            try:
                succeeded[id_] = call.result()
            except (ApiException, HTTPError) as error:
                failed[id_] = error
                if getattr(error, "status", None) == 401:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    return succeeded, failed
