"""The two HTML pages, which load nothing from elsewhere: `/` shows the data, and `/docs` browses the API."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .control import Endpoint

_HERE = Path(__file__).with_name("static")


def _page(name: str) -> Endpoint:
    async def respond(_: Request) -> Response:
        text = _read(name)
        for part in ("style.css", "elements.js"):
            text = text.replace(f"/* {part} */", _read(part))
        return HTMLResponse(text)

    return respond


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


PAGES: Mapping[str, Mapping[str, Endpoint]] = {
    "/": {"GET": _page("data.html")},
    "/docs": {"GET": _page("docs.html")},
}
