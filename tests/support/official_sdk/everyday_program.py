"""The everyday programs on the vendor's SDK, carried out as they are ordered; run by a Python that has it.

An order is a line of JSON on stdin: `{"task": ..., "url": ..., "login": ..., "by": ..., "arguments": [...]}`. What came of
it is a line of JSON: the value, or the error. What is to be served is served for as long as this runs.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import sys
import threading
import typing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import anyio
import PureCloudPlatformClientV2 as sdk  # noqa: N813 - as in the vendor's examples, but shorter
from PureCloudPlatformClientV2.default_http_client import DefaultHttpClient

from tests.support.in_thread import in_thread
from tests.support.official_sdk.tour import model


def api(order: dict[str, Any]) -> sdk.CoachingApi:
    """By way of the client that the programs share."""
    client_id, secret, refresh_token = order["login"]
    if order["by"] == "bare":
        return sdk.CoachingApi(sdk.ApiClient(order["url"]).get_client_credentials_token(client_id, secret))
    ways = {
        "client": lambda client: client.get_client_credentials_token(client_id, secret),
        "user": lambda client: client.refresh_code_authorization_token(
            client_id, secret, client.refresh_token or refresh_token
        ),
    }
    sdk.Configuration().host = order["url"]
    return sdk.CoachingApi(importlib.import_module("careful").CarefulClient(ways[order["by"]]))


def carry_out(order: dict[str, Any], served: contextlib.ExitStack) -> Any:
    task, arguments = order["task"], order["arguments"]
    for name, value in zip(
        ("REGION", "OAUTHCLIENT_ID", "OAUTHCLIENT_SECRET"), (order["url"], *order["login"]), strict=False
    ):
        os.environ[f"GENESYSCLOUD_{name}"] = value
    match task:
        case "serve":
            sdk.Configuration().host = order["url"]
            names = {
                "GENESYSCLOUD_OAUTHCLIENT_ID": order["login"][0],
                "GENESYSCLOUD_OAUTHCLIENT_SECRET": order["login"][1],
            }
            os.environ |= names
            sys.modules.pop(arguments[0], None)  # it reads its configuration when it is imported
            return served.enter_context(in_thread(importlib.import_module(arguments[0]).app))
        case "test_names":
            tests = [each for name, each in vars(importlib.import_module(task)).items() if name.startswith("test_")]
            return [test() for test in tests]
        case "my_month":
            arguments = [date.fromisoformat(*arguments)]
        case "create" | "missing_permission":
            arguments = [model("CreateCoachingAppointmentRequest", *arguments)]
        case "export_quarter":
            users, path, *when = arguments
            arguments = [users, Path(path), *when]
        case "told":
            return told()
        case "both":
            return anyio.run(importlib.import_module(task).main, *arguments)
    by = api(order)
    if task == "call":
        method, *arguments = [
            model(argument["model"], argument["fields"])
            if isinstance(argument, dict) and "model" in argument
            else argument
            for argument in arguments
        ]
        options = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        return plain(by, getattr(by, method)(*arguments, **options))
    value = getattr(importlib.import_module(task), task)(by, *arguments)
    if task == "fetch_many":
        value = {"succeeded": value[0], "failed": {id_: error.status for id_, error in value[1].items()}}
    return plain(by, value)


def plain(by: sdk.CoachingApi, value: Any) -> Any:
    """As it would travel."""
    if isinstance(value, dict):
        return {name: plain(by, each) for name, each in value.items()}
    return by.api_client.sanitize_for_serialization(value)


def told() -> dict[str, Any]:
    """What the SDK has: the methods of the API, models with the names of their fields, ways to log in, regions."""
    methods = [name for name, _ in inspect.getmembers(sdk.CoachingApi, inspect.isfunction) if not name.startswith("_")]
    hints = [typing.get_type_hints(getattr(sdk.CoachingApi, name)) for name in methods]
    waiting = [kind.__name__ for hint in hints for kind in hint.values()] + [
        name for name in vars(sdk.models) if "Coaching" in name
    ]
    found: dict[str, list[str]] = {}
    while waiting:
        name = waiting.pop().removeprefix("list[").removesuffix("]")
        if name not in found and hasattr(sdk.models, name):
            fields = getattr(sdk.models, name)().swagger_types
            found[name] = sorted(fields)
            waiting += fields.values()
    logins = [name for name in vars(sdk.ApiClient) if name.endswith("_token") and not name.startswith("handle")]
    regions = {PureCloudRegionHost.name: PureCloudRegionHost.value for PureCloudRegionHost in sdk.PureCloudRegionHosts}
    pools = DefaultHttpClient(timeout=1000).rest_client.pool_manager.connection_pool_kw
    return {
        "methods": methods,
        "other_methods": [*vars(sdk.UsersApi), *vars(sdk.TeamsApi), *vars(sdk.NotificationsApi)],
        "models": found,
        "logins": logins,
        "regions": regions,
        "has_timeout": "timeout" in pools,
        "to_dict": sorted(sdk.UserReference().to_dict()),
        "naive": sdk.ApiClient().sanitize_for_serialization(datetime(2026, 11, 1)),  # noqa: DTZ001 - that is the point
        "threads": threading.active_count(),
    }


def main() -> None:
    with contextlib.ExitStack() as served:
        for line in sys.stdin:
            try:
                outcome = {"value": carry_out(json.loads(line), served)}
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
                outcome = {"error": type(error).__name__, "status": getattr(error, "status", None), "text": str(error)}
            print(json.dumps(outcome), flush=True)  # noqa: T201 - the other end of the pipe reads it
    sys.stdout.flush()
    os._exit(0)  # to take leave of its thousands of modules would take the SDK another second


if __name__ == "__main__":
    main()
