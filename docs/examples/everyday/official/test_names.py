"""Test a function that lists appointments, without a network."""

import json
from types import SimpleNamespace

from careful import CarefulClient, iterate
from PureCloudPlatformClientV2 import CoachingApi
from PureCloudPlatformClientV2.abstract_http_client import AbstractHttpClient
from PureCloudPlatformClientV2.rest import ApiException


def names(api, user_ids):  # the function under test
    """Return the names of the appointments of users."""
    return [each.name for each in iterate(api.get_coaching_appointments, user_ids)]


class FakeService(AbstractHttpClient):
    """Two hundred appointments in pages, and one expired token; the SDK retries a 503 below this class."""

    def __init__(self) -> None:
        super().__init__()
        self.has_failed = False

    def request(self, options):
        """Return a response, as the SDK's own HTTP client does."""
        number, size = (options.query_params[name] for name in ("pageNumber", "pageSize"))
        if int(number) > 1 and not self.has_failed:
            self.has_failed = True
            raise ApiException(status=401, reason="Unauthorized")
        ids = [f"appointment-{index}" for index in range(200)][(int(number) - 1) * int(size) : int(number) * int(size)]
        entities = [{"id": each, "name": f"About {each}"} for each in ids]
        body = {"entities": entities, "pageNumber": int(number), "pageCount": -(-200 // int(size)), "total": 200}
        header = {"Content-Type": "application/json"}.get
        return SimpleNamespace(status=200, data=json.dumps(body), getheader=header, getheaders=dict)


def test_all_names_are_found_though_a_token_expires():
    """Tests pages and tokens, too."""
    client = CarefulClient(log_in=lambda client: setattr(client, "access_token", client.access_token + "x"))
    client.set_http_client(FakeService())
    assert len(names(CoachingApi(client), ["a-user"])) == 200
