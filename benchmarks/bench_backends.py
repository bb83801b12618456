"""What checking many backends costs one operator, and whether it keeps their intervals: JSON.

    python -m benchmarks.bench_backends [--backends 1000] [--seconds 60] [--hung 0]

Real servers (NATS, Redis, PostgreSQL, a third each, with TLS and passwords) run beside it. The CPU
seconds are this process's: the whole operator, and the API server in memory that it writes to.
``--hung`` many of the backends are behind a port that accepts and never answers.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import logging
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog

from e2e.backend_servers import Nats, Postgres, Redis, Server
from e2e.certificates import Authority
from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.probing.prober import AsyncProber
from prism_operator.api.crd import build_crds
from prism_operator.api.meta import PRISM_BACKEND, SECRET, Json, Resource
from prism_operator.planning.settings import Settings
from prism_operator.runtime.driver import Driver
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import Operator, Options
from prism_operator.runtime.randomness import Streams
from simulator.apiserver.client import InProcessReader, InProcessWriter
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.types import Catalog

INTERVAL_S = 10.0
WARM_UP_S = 20.0


class Counting(NoMetrics):
    """Notes how late checks began, what they found, and the status writes."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.results: dict[str, int] = {}
        self.writes = 0

    def check_began(self, late_s: float) -> None:
        self.late_s.append(late_s)

    def checked(self, provider: str, result: str, latency_s: float | None) -> None:
        self.results[result] = self.results.get(result, 0) + 1

    def wrote(self, verb: str, resource: Resource, result: str) -> None:
        self.writes += 1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backends", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--hung", type=int, default=0)
    options = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with ExitStack() as stack:
        servers = start_servers(stack)
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        figures = measure(servers, silent, options.backends, options.hung, options.seconds)
    print(json.dumps(figures))


def start_servers(stack: ExitStack) -> list[Server]:
    authority = Authority.create()
    servers: list[Server] = []
    for kind in (Nats, Redis, Postgres):
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        server = kind(directory, authority)
        server.start()
        stack.callback(server.stop)
        servers.append(server)
    return servers


def measure(
    servers: Sequence[Server], silent: socket.socket, count: int, hung: int, seconds: float
) -> Json:
    api = ApiServer(SystemClock(), Catalog.builtin())
    for crd in build_crds():
        api.catalog.add_crd(crd)
    lock, wake = threading.Lock(), threading.Event()
    handle = api.handle

    def locked(request: Request) -> Response:
        with lock:
            return handle(request)

    api.handle = locked  # type: ignore[method-assign]
    api.on_change(lambda *_: wake.set())
    for obj in objects(servers, silent, count, hung):
        create(api, obj)
    metrics, clock, prober = Counting(), SystemClock(), AsyncProber()
    operator = Operator(
        reader=InProcessReader(api, "operator"),
        writer=InProcessWriter(api, "operator"),
        clock=clock,
        settings=Settings(check_backends=True),
        options=Options(leader_elect=False),
        metrics=metrics,
        streams=Streams(1),
        identity="bench",
        prober=prober,
    )
    driver = Driver(operator, clock=clock, workers=8, wake=wake)
    driver.start()
    time.sleep(WARM_UP_S)
    metrics.late_s, metrics.results, metrics.writes = [], {}, 0
    began_s, began_cpu_s = time.monotonic(), cpu_s()
    time.sleep(seconds)
    passed_s, used_s = time.monotonic() - began_s, cpu_s() - began_cpu_s
    driver.stop()
    prober.close()
    late_s = sorted(metrics.late_s)
    return {
        "benchmark": "backends",
        "backends": count,
        "hung": hung,
        "interval_s": INTERVAL_S,
        "seconds": round(passed_s, 1),
        "cores": round(used_s / passed_s, 3),
        "cpu_ms_per_check": round(used_s / max(1, len(late_s)) * 1e3, 2),
        "checks_per_s": round(len(late_s) / passed_s, 1),
        "late_ms_p99": round(late_s[int(len(late_s) * 0.99)] * 1e3, 1),
        "late_ms_max": round(late_s[-1] * 1e3, 1),
        "missed_intervals": sum(late > INTERVAL_S for late in late_s),
        "status_writes_per_s": round(metrics.writes / passed_s, 1),
        "results": metrics.results,
        "rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def objects(servers: Sequence[Server], silent: socket.socket, count: int, hung: int) -> list[Json]:
    made = [secret("ca", {"ca.crt": (servers[0].directory / "ca.crt").read_text()})]
    for server in servers:
        keys = {"url": server.url(), "username": server.username, "password": server.password}
        made.append(secret(server.provider, keys))
    made.append(secret("hung", {"url": f"nats://127.0.0.1:{silent.getsockname()[1]}"}))
    for number, server in zip(range(count), itertools.cycle(servers), strict=False):
        is_hung = number < hung
        spec: dict[str, Any] = {
            "type": "database",
            "provider": server.provider,
            "connection": {"secretRef": {"name": "hung" if is_hung else server.provider}},
            "tls": {"enabled": not is_hung, "secretRef": {"name": "ca"}},
            "healthCheck": {"interval": f"{INTERVAL_S:.0f}s", "timeout": "5s"},
        }
        metadata = {"name": f"b{number:04}", "namespace": "default"}
        api_version, kind = PRISM_BACKEND.api_version, PRISM_BACKEND.kind
        made.append({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    return made


def secret(name: str, data: dict[str, str]) -> Json:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


def create(api: ApiServer, obj: Json) -> None:
    resource = SECRET if obj["kind"] == "Secret" else PRISM_BACKEND
    answer = api.handle(Request("POST", resource.path("default"), {}, {}, obj, "admin"))
    if answer.status >= 300:
        raise SystemExit(f"cannot create {obj['metadata']['name']}: {answer.body}")


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
