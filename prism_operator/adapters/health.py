"""A small HTTP server for ``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

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
        host, port = parse_address(address)
        is_v6 = ":" in host or (not host and socket.has_dualstack_ipv6())

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if is_v6 else socket.AF_INET
            daemon_threads = True

            def server_bind(self) -> None:
                if not host and is_v6:  # all interfaces: a probe may come by either protocol
                    self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                # Not HTTPServer's: it asks the DNS for a name that nobody needs.
                socketserver.TCPServer.server_bind(self)

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is no news."""

        self._server = Server((host, port), _handler(dict(pages)))
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


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``:port`` or ``[v6]:port``. Raises ``ValueError``."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and host[0] != "["):
        raise ValueError(f'address "{address}": expected host:port, like 127.0.0.1:8081 or :8081')
    return host.strip("[]"), int(port)


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
