"""A local HTTP server that answers what a test scripts, and remembers what it was asked."""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from .certificates import AUTHORITY, SERVER_CERTIFICATE, SERVER_KEY


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]
    certificate_of: str = ""  # common name of the client's certificate

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def token(self) -> str:
        """The bearer token."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Answer:
    """A whole answer; a ``dict`` is sent as JSON. ``content_type=None`` leaves the header out."""

    body: Any = field(default_factory=dict)
    status: int = 200
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Stream:
    """An answer that goes on until ``end``: what is sent arrives as a chunk of its own."""

    def __init__(self, *lines: Any) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue()
        self.send(*lines)

    def send(self, *lines: Any) -> Stream:
        """Sends lines: JSON for a dict, the bytes themselves (without a line end) for bytes."""
        for line in lines:
            self._chunks.put(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        return self

    def end(self) -> Stream:
        """Ends the answer regularly."""
        self._chunks.put(None)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks.get, None)


Script = Callable[[Received], "Answer | Stream | None"]  # None: no answer, hang up


class ScriptedServer:
    """Answers from ``script``, or one after the other from ``answers``, which it shortens."""

    def __init__(self, *answers: Answer | Stream | None, script: Script | None = None) -> None:
        self.answers: deque[Answer | Stream | None] = deque(answers)
        self.script = script or (lambda _: self.answers.popleft())
        self.received: list[Received] = []
        self._streams: list[Stream] = []
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self._scheme = "http"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def with_tls(self, folder: Path, *, ask_client: bool = False) -> ScriptedServer:
        """Speaks TLS; ``ask_client`` demands a client certificate."""
        (folder / "server.crt").write_text(SERVER_CERTIFICATE)
        (folder / "server.key").write_text(SERVER_KEY)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        if ask_client:
            context.load_verify_locations(cadata=AUTHORITY)
            context.verify_mode = ssl.CERT_REQUIRED
        self._http.tls = context
        self._scheme = "https"
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def kubeconfig(self, path: Path, user: dict[str, Any] | None = None, **cluster: Any) -> str:
        """Writes a kubeconfig for this server; returns its path."""
        write_kubeconfig(path, cluster={"server": self.url, **cluster}, user=user or {})
        return str(path)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.end()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, received: Received) -> Answer | Stream | None:
        """What the script says to one request."""
        self.received.append(received)
        answer = self.script(received)
        if isinstance(answer, Stream):
            self._streams.append(answer)
        return answer


def write_kubeconfig(
    path: Path, *, cluster: dict[str, Any], user: dict[str, Any], **context: Any
) -> Path:
    """A kubeconfig with one cluster, user and context named ``test``."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", **context}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the DNS

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what some tests are about."""


def _handler(scripted: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _respond(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            answer = scripted.answer(
                Received(
                    method=self.command,
                    path=url.path,
                    query=dict(parse_qsl(url.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                    client=self.client_address,
                    certificate_of=_common_name(self.connection),
                )
            )
            match answer:
                case None:
                    self.close_connection = True
                    with suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                case Answer():
                    self._send(answer)
                case Stream():
                    self._stream(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond  # noqa: N815  http.server's

        def _send(self, answer: Answer) -> None:
            body = answer.body
            if not isinstance(body, bytes):
                body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(answer.status)
            if answer.content_type is not None:
                self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, stream: Stream) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in stream:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    return Handler


def _common_name(connection: Any) -> str:
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    subject = (connection.getpeercert() or {}).get("subject", ())
    return next((value for ((name, value),) in subject if name == "commonName"), "")
