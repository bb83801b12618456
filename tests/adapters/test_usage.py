"""What namespaces use, read from metrics that a real HTTP server serves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from prism_operator.adapters.probing.loop import GuardedLoop
from prism_operator.adapters.provisioning.usage import Usages
from prism_operator.planning.provisioning import Admin, MetricsEndpoint, Provision, Usage

REQUEST = Provision(Admin(("default", "demo"), "demo-admin", 8981), "demo-proxy", "acme")
PAGE = """\
# HELP prism_namespace_keys Keys stored
# TYPE prism_namespace_keys gauge
prism_namespace_keys{namespace="acme"} 40
prism_namespace_keys{namespace="beta"} 7
prism_namespace_connections{namespace="acme",pattern="kv"} 2
prism_namespace_connections{namespace="acme",pattern="queue"} 3
prism_namespace_requests_total{namespace="acme"} %s
other 1
"""


class Proxy:
    """Serves a page, and reads it at times of its own."""

    def __init__(self) -> None:
        self.page, self.status, self.now_s = PAGE % 100, 200, 0.0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(proxy.status)
                self.end_headers()
                self.wfile.write(proxy.page.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.usages = Usages(lambda: self.now_s)
        self.loop = GuardedLoop()

    def read(self) -> Usage | None:
        endpoint = MetricsEndpoint("127.0.0.1", self.port)
        return self.loop.run_until_complete(self.usages.read(self.loop, endpoint, REQUEST))


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    found = Proxy()
    yield found
    found.server.shutdown()
    found.server.server_close()
    found.loop.close()
    asyncio.set_event_loop(None)


def test_series_of_the_namespace_are_summed(proxy: Proxy) -> None:
    assert proxy.read() == Usage(proxies=1, keys=40, connections=5)


def test_the_rate_of_requests_is_that_between_two_readings(proxy: Proxy) -> None:
    proxy.read()
    proxy.now_s, proxy.page = 300.0, PAGE % 1600

    usage = proxy.read()
    assert usage is not None
    assert usage.requests_per_second == 5.0

    proxy.now_s, proxy.page = 305.0, PAGE % 9999
    usage = proxy.read()
    assert usage is not None
    assert usage.requests_per_second == 5.0  # a moment says little


def test_a_counter_that_began_anew_has_no_rate(proxy: Proxy) -> None:
    proxy.read()
    proxy.now_s, proxy.page = 300.0, PAGE % 3

    usage = proxy.read()

    assert usage is not None
    assert usage.requests_per_second is None


@pytest.mark.parametrize("page", ["", "other 1\n", 'prism_namespace_keys{namespace="beta"} 7\n'])
def test_what_is_not_served_is_not_known(proxy: Proxy, page: str) -> None:
    proxy.page = page

    assert proxy.read() == Usage(proxies=1)


@pytest.mark.parametrize(
    "page", ["prism_namespace_keys{garbage", 'prism_namespace_keys{namespace="acme"} NaN\n']
)
def test_garbage_is_no_usage(proxy: Proxy, page: str) -> None:
    proxy.page = page

    assert proxy.read() is None


def test_an_error_is_no_usage(proxy: Proxy) -> None:
    proxy.status = 500

    assert proxy.read() is None


def test_nobody_there_is_no_usage(proxy: Proxy) -> None:
    proxy.server.server_close()

    assert proxy.read() is None
