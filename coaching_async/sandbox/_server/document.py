"""The contract as an OpenAPI document, and a page to browse it and try it out."""

import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import Json

_HERE = Path(__file__)


async def openapi(request: Request) -> Response:
    return Json(served_at(str(request.base_url).rstrip("/")))


async def docs(_: Request) -> Response:
    return HTMLResponse(_HERE.with_name("docs.html").read_text(encoding="utf-8"))


def served_at(url: str) -> JsonObject:
    """The document with this address in place of those of Genesys Cloud."""
    document: JsonObject = json.loads(_HERE.with_name("openapi.json").read_text(encoding="utf-8"))
    document["servers"] = [{"url": url}]
    for operations in document["paths"].values():
        operations.pop("servers", None)  # the login host is another only there
    for flow in document["components"]["securitySchemes"]["GenesysOAuth"]["flows"].values():
        for name in ("tokenUrl", "refreshUrl"):
            if name in flow:
                flow[name] = f"{url}/oauth/token"
    return document
