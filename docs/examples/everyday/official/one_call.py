"""Make one call with a shorter timeout and without retries."""

import copy
from concurrent.futures import ThreadPoolExecutor

from careful import http
from PureCloudPlatformClientV2 import CoachingApi, CoachingAppointmentResponse
from PureCloudPlatformClientV2.rest import ApiException
from urllib3 import Retry
from urllib3.exceptions import HTTPError

ONE_ATTEMPT = http(retries=Retry(total=0, respect_retry_after_header=False))
THREADS = ThreadPoolExecutor(10)


def one_call(api: CoachingApi, appointment_id: str, seconds: float = 0.5) -> CoachingAppointmentResponse | None:
    """Return the appointment, with one attempt and within so many seconds, or None."""
    quick = copy.copy(api.api_client)  # with the same token
    quick.set_http_client(ONE_ATTEMPT)
    call = THREADS.submit(CoachingApi(quick).get_coaching_appointment, appointment_id)
    try:
        return call.result(timeout=seconds)  # the thread continues, because its request cannot be cancelled
    except (ApiException, HTTPError, TimeoutError):
        return None
