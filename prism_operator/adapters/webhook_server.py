"""An HTTPS server for admission webhooks: few callers, small bodies, and no patience.

The API server keeps a handful of connections open, so a thread for each is enough. Whoever is slow
costs only his own thread: the TLS handshake happens there, and every request has to be there in
whole within a few seconds, however it trickles in.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import structlog

from prism_operator.adapters.listener import Listener
from prism_operator.api.meta import Json

BODY_BYTES_MAX: Final = 8 * 1024 * 1024  # two objects of the 1.5 MiB that etcd takes, as JSON

Respond = Callable[[bytes], Json]

_log = structlog.get_logger("prism_operator.webhook")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the server waits for what, and for how many at a time."""

    handshake_s: float = 5.0
    request_s: float = 10.0
    idle_s: float = 120.0
    connections_max: int = 256


class WebhookServer:
    """Serves ``path`` until ``close``; ``respond`` turns a request's body into the answer's.

    ``context`` gives the TLS settings for a new connection, None while there is no certificate:
    then connections are closed at once. A ValueError of ``respond`` is answered with 400. Raises
    ``ValueError`` for an address that is none, ``OSError`` for one that is taken.
    """

    def __init__(
        self,
        address: str,
        path: str,
        respond: Respond,
        context: Callable[[], ssl.SSLContext | None],
        patience: Patience = Patience(),
    ) -> None:
        self._server = _Server(address, _handler(path, respond, patience), context, patience)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="webhook",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops serving, and hangs up on those that wait. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server.hang_up()


class _Server(Listener):
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: str,
        handler: type[BaseHTTPRequestHandler],
        context: Callable[[], ssl.SSLContext | None],
        patience: Patience,
    ) -> None:
        self._context = context
        self._patience = patience
        self._room = threading.BoundedSemaphore(patience.connections_max)
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            if (secure := self._handshake(request)) is None:
                self.shutdown_request(request)
                return
            self._open.add(secure)
            try:
                super().process_request_thread(secure, client_address)
            finally:
                self._open.discard(secure)
        finally:
            self._room.release()

    def hang_up(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _handshake(self, request: socket.socket) -> ssl.SSLSocket | None:
        context = self._context()
        if context is None:
            return None
        request.settimeout(self._patience.handshake_s)  # for the handshake as a whole
        try:
            return context.wrap_socket(request, server_side=True)
        except OSError:  # no TLS, another trust, or gone
            return None


class _Impatient(io.RawIOBase):
    """Reads from a connection until a deadline, however often the peer sends a little."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until_s = 0.0

    def allow(self, seconds: float) -> None:
        self._until_s = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


def _handler(path: str, respond: Respond, patience: Patience) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open
        disable_nagle_algorithm = True
        server_version = "prism-operator"
        sys_version = ""

        def setup(self) -> None:
            super().setup()
            self._input = _Impatient(self.connection)
            self.rfile = io.BufferedReader(self._input)

        def handle_one_request(self) -> None:
            try:
                self._input.allow(patience.idle_s)
                self.rfile.peek(1)  # type: ignore[attr-defined]
                self._input.allow(patience.request_s)
                super().handle_one_request()
            except (OSError, EOFError):
                self.close_connection = True

        def do_POST(self) -> None:
            if self.path.partition("?")[0] != path:
                self._refuse(HTTPStatus.NOT_FOUND, f"only {path} is served")
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            elif int(length) > BODY_BYTES_MAX:
                told = f"a body of at most {BODY_BYTES_MAX} bytes is read"
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, told)
            else:
                body = self.rfile.read(int(length))
                if len(body) < int(length):
                    self.close_connection = True
                    return
                self._respond(body)

        def _respond(self, body: bytes) -> None:
            try:
                answer = json.dumps(respond(body)).encode()
            except ValueError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            except Exception:  # the edge: a bug about one request must not end the server
                _log.exception("Webhook failed")
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "see the operator's log")
            else:
                self._send(HTTPStatus.OK, "application/json", answer)

        def _refuse(self, status: HTTPStatus, told: str) -> None:
            # What is left of the request is not worth reading.
            self.close_connection = True
            self._send(status, "text/plain; charset=utf-8", f"{told}\n".encode())

        def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.connection.settimeout(patience.request_s)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """What is denied is logged by who denies it."""

    return Handler
