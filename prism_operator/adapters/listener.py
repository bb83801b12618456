"""Listening for HTTP, with each connection in a thread of its own."""

from __future__ import annotations

import socket
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener(ThreadingHTTPServer):
    """Listens at ``address``, which is ``host:port``.

    Without a host on all interfaces, with port 0 on any free one. Raises ``ValueError`` for an
    address that is none, ``OSError`` for one that is taken.
    """

    daemon_threads = True

    def __init__(self, address: str, handler: type[BaseHTTPRequestHandler]) -> None:
        host, port = parse_address(address)
        self._both = not host and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if ":" in host or self._both else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """See ``TCPServer``."""
        if self._both:  # all interfaces: a probe may come by either protocol
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's: it asks the DNS for a name that nobody needs.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``:port`` or ``[v6]:port``. Raises ``ValueError``."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and host[0] != "["):
        raise ValueError(f'address "{address}": expected host:port, like 127.0.0.1:8081 or :8081')
    return host.strip("[]"), int(port)
