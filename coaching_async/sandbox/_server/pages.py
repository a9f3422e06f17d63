"""The two HTML pages, which load nothing from elsewhere: `/` shows the data, and `/docs` browses the API."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from coaching_async.sandbox._faults.targets import OPERATIONS

from .control import Endpoint

_HERE = Path(__file__).with_name("static")


def _page(name: str) -> Endpoint:
    async def respond(_: Request) -> Response:
        text = _read(name)
        for part in ("style.css", "elements.js"):
            text = text.replace(f"/* {part} */", _read(part))
        text = text.replace("[] /* operations */", json.dumps(list(OPERATIONS)))
        return HTMLResponse(text, headers={"Content-Security-Policy": _policy(text)})

    return respond


def _policy(page: str) -> str:
    """Return the policy that lets a page run its own script and style, connect to the sandbox, and nothing else."""
    return (
        f"default-src 'none'; script-src {_source(page, 'script')}; style-src {_source(page, 'style')}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _source(page: str, element: str) -> str:
    content = page.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


PAGES: Mapping[str, Mapping[str, Endpoint]] = {
    "/": {"GET": _page("data.html")},
    "/docs": {"GET": _page("docs.html")},
}
