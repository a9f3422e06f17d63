"""The contract as an OpenAPI document, and an HTML page to browse and try it."""

import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from coaching_async.sandbox._wire.formats import JsonObject
from coaching_async.sandbox._wire.responses import JsonResponse

_HERE = Path(__file__)


async def openapi(request: Request) -> Response:
    return JsonResponse(document_served_at(str(request.base_url).rstrip("/")))


async def docs(_: Request) -> Response:
    return HTMLResponse(_HERE.with_name("docs.html").read_text(encoding="utf-8"))


def document_served_at(url: str) -> JsonObject:
    """Return the document with this URL in place of those of Genesys Cloud."""
    document: JsonObject = json.loads(_HERE.with_name("openapi.json").read_text(encoding="utf-8"))
    document["servers"] = [{"url": url}]
    for operations in document["paths"].values():
        operations.pop("servers", None)  # here the token endpoint is on the same host
    for flow in document["components"]["securitySchemes"]["GenesysOAuth"]["flows"].values():
        for name in ("tokenUrl", "refreshUrl"):
            if name in flow:
                flow[name] = f"{url}/oauth/token"
    return document
