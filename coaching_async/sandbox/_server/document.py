"""The contracts as one OpenAPI document."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import JsonResponse

_HERE = Path(__file__)


async def openapi(request: Request) -> Response:
    return JsonResponse(document_served_at(str(request.base_url).rstrip("/")))


def document_served_at(url: str) -> JsonObject:
    """Return the document with this URL in place of those of Genesys Cloud."""
    document = contract()
    document["servers"] = [{"url": url}]
    for operations in document["paths"].values():
        operations.pop("servers", None)  # here the token endpoint is on the same host
    for flow in document["components"]["securitySchemes"]["GenesysOAuth"]["flows"].values():
        for name in ("tokenUrl", "refreshUrl"):
            if name in flow:
                flow[name] = f"{url}/oauth/token"
    return document


def contract() -> JsonObject:
    """Join the documents of the Coaching API, of people, and of notification channels."""
    document: JsonObject = json.loads(_text_of("openapi.json"))
    for name, suffix in (("people", "OfPeople"), ("channels", "OfChannels")):
        _join(document, json.loads(_text_of(f"{name}.openapi.json")), suffix)
    return document


def _join(document: JsonObject, other: JsonObject, suffix: str) -> None:
    """Add another document. A component of it gets the suffix if there is a different one of the same name."""
    known, added = document["components"], other["components"]
    schemes = added.pop("securitySchemes")["GenesysOAuth"]["flows"]
    for name, flow in known["securitySchemes"]["GenesysOAuth"]["flows"].items():
        flow["scopes"] |= schemes[name]["scopes"]
    new_names = {
        f"#/components/{kind}/{name}": f"#/components/{kind}/{name}{suffix}"
        for kind, components in added.items()
        for name, component in components.items()
        if known[kind].get(name, component) != component
    }
    other = _with_references(other, new_names)
    for kind, components in other["components"].items():
        for name, component in components.items():
            reference = f"#/components/{kind}/{name}"
            known[kind][new_names.get(reference, reference).rpartition("/")[2]] = component
    document["paths"] |= other["paths"]
    document["tags"] += other["tags"]


def _with_references(part: Any, new_names: Mapping[str, str]) -> Any:
    match part:
        case dict():
            return {
                name: new_names.get(each, each) if name == "$ref" else _with_references(each, new_names)
                for name, each in cast("JsonObject", part).items()
            }
        case list():
            return [_with_references(each, new_names) for each in cast("list[object]", part)]
        case _:
            return part


def _text_of(name: str) -> str:
    return _HERE.with_name(name).read_text(encoding="utf-8")
