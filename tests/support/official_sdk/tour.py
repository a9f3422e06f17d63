"""Takes the vendor's own SDK round a service, one order at a time; run by test_official_sdk.py, in an environment of its own.

    python tour.py URL CLIENT_ID CLIENT_SECRET REFRESH_TOKEN

An order is a line of JSON: the caller, the method and its arguments; a body is {"model": name, "fields": its JSON}.
What came of it is a line of JSON: the type and value that the SDK returned, or the error that it raised.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813 - as in the vendor's examples, but shorter


def model(name: str, fields: dict[str, Any]) -> Any:
    """Fill a model of the SDK as its user would: attribute by attribute, with dates as dates."""
    made = getattr(sdk, name)()
    for attribute, wire in made.attribute_map.items():
        if wire in fields:
            setattr(made, attribute, typed(made.swagger_types[attribute], fields[wire]))
    return made


def argument(given: Any) -> Any:
    match given:
        case {"model": name, "fields": fields}:
            return model(name, fields)
        case list():
            return [argument(each) for each in given]
        case _:
            return given


def typed(kind: str, value: Any) -> Any:
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    if isinstance(value, list):
        return [typed(kind.removeprefix("list[").removesuffix("]"), each) for each in value]
    return model(kind, value) if isinstance(value, dict) else value


def plain(value: Any) -> Any:
    """Spell as it travels what the SDK has read."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    named = {wire: getattr(value, attribute) for attribute, wire in value.attribute_map.items()}
    return {wire: each for wire, each in named.items() if each is not None}


def main(url: str, client_id: str, client_secret: str, refresh_token: str) -> None:
    def client() -> sdk.api_client.ApiClient:
        return sdk.api_client.ApiClient(host=url)

    user, _ = client().refresh_code_authorization_token(client_id, client_secret, refresh_token)
    stranger = client()
    stranger.access_token = "not-a-token"
    callers = {
        "client": client().get_client_credentials_token(client_id, client_secret),
        "user": user,
        "stranger": stranger,
        "login": client(),
    }

    def carry_out(order: dict[str, Any]) -> Any:
        caller = callers[order["by"]]
        apis = (sdk.CoachingApi, sdk.UsersApi, sdk.TeamsApi, sdk.GroupsApi, sdk.NotificationsApi)
        is_login = order["by"] == "login"
        target = caller if is_login else next(api for api in apis if hasattr(api, order["call"]))(caller)
        return getattr(target, order["call"])(*map(argument, order["arguments"]), **order["options"])

    for line in sys.stdin:
        try:
            value = carry_out(json.loads(line))
            outcome: dict[str, Any] = {"type": type(value).__name__, "value": value}
        except sdk.rest.ApiException as error:
            outcome = {"error": {"status": error.status, "body": json.loads(error.body or "null")}}
        print(json.dumps(outcome, default=plain), flush=True)  # noqa: T201 - the other end of the pipe reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
