"""How many requests a second the in-memory API server answers, one JSON line for each figure.

    python -m benchmarks.bench_apiserver [--objects 100 1000 10000]

The ladder shows what more stored objects cost. ``ports`` is what the simulator uses, ``handle`` the
server below it, ``http`` an HTTP client over the in-process transport.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import DEPLOYMENT, Json, Ref
from prism_operator.ports import Ok, Reader, Writer
from simulator.apiserver.client import InProcessReader, InProcessWriter
from simulator.apiserver.request import Request
from simulator.apiserver.server import ApiServer
from simulator.apiserver.transport import InProcessAdapter

MEASURED = 500
MANAGER = "bench"


class StandingClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return 0.0


def a_deployment(number: int, image: str = "prism:1") -> Json:
    labels = {"app": f"d{number}"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"d{number:06}", "namespace": "default", "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }


def through_ports(reader: Reader, writer: Writer, stored: int) -> dict[str, Callable[[int], Any]]:
    """What is measured, by verb; each takes the number of the call."""

    def ref(number: int) -> Ref:
        return Ref(DEPLOYMENT, "default", f"d{number % stored:06}")

    def status(number: int) -> Json:
        obj = a_deployment(number % stored)
        del obj["spec"]
        return {**obj, "status": {"replicas": number, "observedGeneration": number}}

    return {
        "get": lambda n: reader.get(ref(n)),
        "create": lambda n: writer.create(a_deployment(stored + n), MANAGER),
        "apply, changed": lambda n: writer.apply(
            a_deployment(n % stored, f"prism:{n + 2}"), MANAGER, force=True
        ),
        "apply, same": lambda n: writer.apply(a_deployment(n and 0, "same"), MANAGER, force=True),
        "apply status": lambda n: writer.apply(
            status(n), f"{MANAGER}-status", force=True, subresource="status"
        ),
    }


def through_handle(server: ApiServer, stored: int) -> dict[str, Callable[[int], Any]]:
    def get(number: int) -> Any:
        path = DEPLOYMENT.path("default", f"d{number % stored:06}")
        return server.handle(Request("GET", path))

    def page(number: int) -> Any:
        limit = "100" if number else "101"
        return server.handle(Request("GET", DEPLOYMENT.path(), {"limit": limit}))

    return {"get": get, "list of 100": page}


def rate(call: Callable[[int], Any], count: int) -> float:
    """Calls a second."""
    started = time.perf_counter()
    for number in range(count):
        answer = call(number)
    elapsed = time.perf_counter() - started
    assert isinstance(answer, Ok) or getattr(answer, "status", 0) < 300, answer
    return count / elapsed


def report(**figures: Any) -> None:
    print(json.dumps({"benchmark": "apiserver", **figures}), flush=True)


def measure(stored: int) -> None:
    """All figures with ``stored`` Deployments in the server."""
    for way in ("ports", "http", "handle"):
        server = ApiServer(StandingClock())
        writer = InProcessWriter(server)
        for number in range(stored):
            writer.create(a_deployment(number), MANAGER)
        with closing(connect_over(InProcessAdapter(server))) as connection:
            if way == "handle":
                calls = through_handle(server, stored)
            elif way == "ports":
                calls = through_ports(InProcessReader(server), writer, stored)
            else:
                calls = through_ports(connection.reader(), connection.writer(), stored)
            for verb, call in calls.items():
                count = MEASURED * 10 if verb == "get" else MEASURED
                report(way=way, verb=verb, stored=stored, per_s=round(rate(call, count)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[100, 1_000, 10_000])
    for stored in parser.parse_args().objects:
        measure(stored)


if __name__ == "__main__":
    main()
