"""A real browser that opens files of ours: Debian's Chromium, without a screen."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

A4_INCHES = {"paperWidth": 8.27, "paperHeight": 11.69}
WINDOW = (1280, 900)
# When the page has run its scripts, been painted, and would answer the pointer.
_WATCH = """
addEventListener("DOMContentLoaded", () => requestAnimationFrame(() => requestAnimationFrame(
  () => setTimeout(() => { window.interactiveMs = performance.now(); }))));
"""
_WAIT = """
const done = arguments[0];
(function look() { window.interactiveMs ? done(window.interactiveMs) : setTimeout(look, 5); })();
"""


class MissingBrowserError(Exception):
    """There is no browser on this machine; the message says how to get one."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A page that was opened: how soon it answered, and what it asked for and complained of."""

    interactive_s: float
    requests: tuple[str, ...]
    complaints: tuple[str, ...]


class Browser:
    """One window, in which one page after the other is opened."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        driver.set_script_timeout(60)
        self._call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    def open(self, file: Path, *, colours: Literal["light", "dark"] = "light") -> Opened:
        """Opens a file as one who prefers these colours, and waits until it answers."""
        features = [{"name": "prefers-color-scheme", "value": colours}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._logs()  # what others asked for
        self.driver.get(file.resolve().as_uri())
        interactive_ms = self.driver.execute_async_script(_WAIT)
        requests, complaints = self._logs()
        return Opened(interactive_ms / 1000, requests, complaints)

    def complaints(self) -> tuple[str, ...]:
        """What the page wrote to the console, or failed in, since it was last asked."""
        return self._logs()[1]

    def run(self, script: str) -> Any:
        """The answer of a script in the page."""
        return self.driver.execute_script(script)

    def point_at(self, x: float, y: float) -> None:
        """Moves the pointer there, in pixels of the window."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self) -> bytes:
        """All of the page as a PNG."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def printed(self) -> bytes:
        """The page on A4, as a PDF."""
        made = self._call("Page.printToPDF", printBackground=True, **A4_INCHES)
        return base64.b64decode(made["data"])

    def _logs(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        requests = []
        for entry in self._log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                requests.append(event["params"]["request"]["url"])
        complaints = tuple(entry["message"] for entry in self._log("browser"))
        return tuple(requests), complaints

    def _log(self, kind: str) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def _call(self, command: str, **arguments: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser for as long as it is needed.

    Raises:
        MissingBrowserError: There is none.
    """
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        raise MissingBrowserError(
            "chromium or chromedriver is missing: scripts/install-test-programs"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    width, height = WINDOW
    # Root may not have a sandbox, and what is opened is ours.
    for flag in ("headless=new", "no-sandbox", "disable-gpu", f"window-size={width},{height}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(programs[1])))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
