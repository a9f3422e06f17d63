"""One call that is in more of a hurry than the others."""

import copy
from concurrent.futures import ThreadPoolExecutor

from careful import http
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse
from PureCloudPlatformClientV2.rest import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

ONE_ATTEMPT = http(retries=Retry(total=0, respect_retry_after_header=False))
THREADS = ThreadPoolExecutor(10)


def one_call(api: CoachingApi, appointment_id: str) -> CoachingAppointmentResponse | None:
    """The appointment, with one attempt and within half a second, or nothing."""
    hasty = copy.copy(api.api_client)  # with the same token
    hasty.set_http_client(ONE_ATTEMPT)
    call = THREADS.submit(CoachingApi(hasty).get_coaching_appointment, appointment_id)
    try:
        return call.result(timeout=0.5)  # the thread goes on: its request cannot be ended
    except (ApiException, HTTPError, TimeoutError):
        return None
