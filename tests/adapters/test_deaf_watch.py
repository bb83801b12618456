"""A connection that is half open: both ends believe in it, and nothing comes through.

A proxy of real sockets stands between the operator and the server, and goes silent without closing
anything (kubernetes-client/python#1148).
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.connection import connect
from prism_operator.api.meta import LEASE, Ref
from prism_operator.planning.settings import Settings
from prism_operator.runtime.driver import Driver
from prism_operator.runtime.elector import LeaseTimes
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import Operator, Options
from prism_operator.runtime.randomness import Streams
from simulator.apiserver.request import Request
from tests.runtime.world import ADMIN, World

from .builders import eventually
from .server import Answer, Received, ScriptedServer, Stream, write_kubeconfig

WATCH_TIMEOUT_S = 1
SILENCE_MAX_S = 2.0 * WATCH_TIMEOUT_S
MARGIN_S = 4.0
LEASE_REF = Ref(LEASE, "default", "prism-operator-leader")


class Proxy:
    """Passes bytes on, until it is told to go silent about the connections there are."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._silent: set[socket.socket] = set()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def go_silent(self) -> None:
        """What is connected now hears nothing any more; new connections work."""
        self._silent.update(self._open)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    sink.sendall(data)
            if source not in self._silent:
                sink.shutdown(socket.SHUT_WR)


class Api:
    """The fake API server over HTTP; its watches only tell bookmarks, four a second."""

    def __init__(self) -> None:
        self.world = World()
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._stopped = threading.Event()
        threading.Thread(target=self._tell, daemon=True).start()

    def answer(self, received: Received) -> Answer | Stream:
        if "watch" in received.query:
            stream = Stream(self._bookmark())
            self._streams.append(stream)
            return stream
        body = received.json if received.body else None
        request = Request(
            received.method, received.path, received.query, received.headers, body, "operator"
        )
        with self._lock:
            response = self.world.server.handle(request)
        return Answer(response.body, response.status)

    def holder(self) -> str:
        with self._lock:
            lease = self.world.server.handle(
                Request("GET", LEASE.path(LEASE_REF.namespace, LEASE_REF.name), user=ADMIN)
            ).body
        assert isinstance(lease, dict)
        return str(lease.get("spec", {}).get("holderIdentity", "nobody yet"))

    def close(self) -> None:
        self._stopped.set()

    def _tell(self) -> None:
        while not self._stopped.wait(0.25):
            for stream in tuple(self._streams):
                stream.send(self._bookmark())

    def _bookmark(self) -> dict[str, object]:
        return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}


@pytest.fixture
def api() -> Iterator[Api]:
    with contextlib.closing(Api()) as one:
        yield one


@pytest.fixture
def proxy(api: Api, serve: Callable[..., ScriptedServer]) -> Iterator[Proxy]:
    server = serve(script=api.answer)
    with contextlib.closing(Proxy(int(server.url.rpartition(":")[2]))) as one:
        yield one


def test_a_watch_on_a_half_open_connection_is_noticed_and_the_lease_left_to_others(
    api: Api, proxy: Proxy, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, cluster={"server": f"http://127.0.0.1:{proxy.port}"}, user={})
    wake = threading.Event()
    clock = SystemClock()
    with contextlib.closing(connect(str(path))) as connection:
        operator = Operator(
            reader=connection.reader(
                rng=random.Random(1),
                notify=wake.set,
                lease_timeout_s=1,
                watch_timeout_s=(WATCH_TIMEOUT_S, WATCH_TIMEOUT_S),
                watch_margin_s=MARGIN_S,
            ),
            writer=connection.writer(lease_timeout_s=1),
            clock=clock,
            settings=Settings(),
            options=Options(
                lease_namespace="default",
                lease_times=LeaseTimes(retry_period_s=0.3),
                silence_max_s=SILENCE_MAX_S,
            ),
            metrics=NoMetrics(),
            streams=Streams(1),
            identity="operator",
        )
        driver = Driver(operator, clock=clock, workers=1, wake=wake)
        driver.start()
        eventually(lambda: operator.verdict().ready and api.holder() == "operator", 10)
        time.sleep(SILENCE_MAX_S * 1.2)
        assert operator.verdict().ready, "bookmarks are news enough"

        proxy.go_silent()
        eventually(lambda: not operator.verdict().healthy, SILENCE_MAX_S * 2)
        assert "nothing heard for" in operator.verdict().reasons[0]
        # The elector's own connection was cut off as well; it makes another one.
        eventually(lambda: api.holder() == "", 5)
        assert operator.leadership.term() is None

        # The reader of a watch gives up as well, and the next connection heals it.
        eventually(lambda: operator.verdict().ready and api.holder() == "operator", 20)
        assert driver.stop()
