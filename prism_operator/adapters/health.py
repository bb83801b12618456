"""A small HTTP server for ``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

from prism_operator.adapters.listener import Listener

REQUEST_TIMEOUT_S = 10.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Page(NamedTuple):
    """One answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


def verdict_page(reasons_against: Callable[[], Sequence[str]]) -> Callable[[], Page]:
    """A page that says ``ok``, or 503 and one line for each reason against."""

    def page() -> Page:
        reasons = reasons_against()
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        text = "".join(f"{line}\n" for line in reasons or ["ok"])
        return Page(status, "text/plain; charset=utf-8", text.encode())

    return page


def metrics_page(expose: Callable[[], bytes]) -> Callable[[], Page]:
    """A page of metrics in Prometheus' text format."""
    return lambda: Page(HTTPStatus.OK, METRICS_TYPE, expose())


class HealthServer:
    """Serves pages by path, each request in a thread of its own, until ``close``.

    ``address`` is ``host:port``; without a host all interfaces, with port 0 any free one. Raises
    ``ValueError`` for an address that is none, ``OSError`` for one that is taken.
    """

    def __init__(self, address: str, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._server = Listener(address, _handler(dict(pages)))
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="health",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops serving. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(pages: Mapping[str, Callable[[], Page]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_S
        server_version = "prism-operator"
        sys_version = ""

        def do_GET(self) -> None:
            make = pages.get(self.path.partition("?")[0])
            try:
                page = make() if make else _plain(HTTPStatus.NOT_FOUND, sorted(pages))
            except Exception as error:  # broad: a probe is told, not cut off
                page = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, [type(error).__name__])
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(page.body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Probes come every few seconds; they are not logged."""

    return Handler


def _plain(status: HTTPStatus, lines: Sequence[str]) -> Page:
    text = "".join(f"{line}\n" for line in [f"{status.value} {status.phrase}", *lines])
    return Page(status, "text/plain; charset=utf-8", text.encode())
