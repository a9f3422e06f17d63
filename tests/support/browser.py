"""Chromium without a window, driven over the DevTools protocol."""

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

from tests.support.fault_server import HANG

__all__ = ["CHROMIUM", "Chromium", "Tab"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The browser, if there is one on this machine."""

OPTIONS = [
    "--headless=new",
    "--no-sandbox",  # it refuses to start for root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "about:blank",
]


class Chromium:
    """One browser. `tab` opens a page in it, with cookies and connections of its own."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [str(CHROMIUM), f"--user-data-dir={self._folder.name}", *OPTIONS]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                self._address = found[1]
                return self
        raise AssertionError(said)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    @contextmanager
    def tab(self, *, width: int = 1280, height: int = 900, headers: dict[str, str] | None = None) -> Iterator["Tab"]:
        with connect(self._address, max_size=None, proxy=None) as socket:
            tab = Tab(socket)
            context = tab.browser("Target.createBrowserContext")["browserContextId"]
            target = tab.browser("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
            tab.attach(target)
            tab.size(width, height)
            if headers:
                tab.call("Network.setExtraHTTPHeaders", headers=headers)
            try:
                yield tab
            finally:
                tab.browser("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """A page of the browser, with what it has complained about."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.complaints: list[str] = []
        """Errors in its console: exceptions, and what its content security policy has refused."""
        self.received: list[str] = []
        """Names of the events that its EventSource has received."""

    def attach(self, target: str) -> None:
        self._session = self.browser("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Page", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def browser(self, method: str, **parameters: Any) -> Any:
        """Call a method of the browser."""
        return self._call({"method": method, "params": parameters})

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the page."""
        return self._call({"method": method, "params": parameters, "sessionId": self._session})

    def _call(self, message: dict[str, Any]) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, **message}))
        while True:
            answer = json.loads(self._socket.recv(timeout=HANG))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        match event["method"]:
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(event["params"]["exceptionDetails"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.complaints.append(event["params"]["entry"]["text"])
            case "Network.eventSourceMessageReceived":
                self.received.append(event["params"]["eventName"])
            case _:
                pass

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def value(self, expression: str) -> Any:
        """Return the value of JavaScript, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str, until: Callable[[Any], bool] = bool) -> Any:
        """Wait until the value of JavaScript is as expected, and return it."""
        ends = time.monotonic() + HANG
        while not until(found := self.value(expression)):
            assert time.monotonic() < ends, f"{expression}: {found!r}"
            time.sleep(0.05)
        return found

    def text(self, selector: str) -> str:
        """Return the text of an element as it is shown."""
        found: str = self.value(f"document.querySelector({json.dumps(selector)}).innerText")
        return found

    def press(self, key: str) -> None:
        """Press a key of the keyboard."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13}[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
