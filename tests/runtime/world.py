"""A cluster in memory with operators in it: the fake API server, stepped in virtual time."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Self

from prism_operator.api.crd import build_crds
from prism_operator.api.meta import (
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.planning import Planner
from prism_operator.planning.settings import Settings
from prism_operator.ports import ControlPlane, Prober
from prism_operator.runtime.metrics import NoMetrics
from prism_operator.runtime.operator import Operator, Options
from prism_operator.runtime.randomness import Streams
from simulator.apiserver.client import InProcessReader, InProcessWriter
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.types import Catalog, Kind

from .builders import FakeClock

ADMIN = "admin"
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@functools.cache
def _catalog() -> Catalog:
    """The built-in kinds and ours. Compiling our schemas takes longer than most tests."""
    catalog = Catalog.builtin()
    for crd in build_crds():
        catalog.add_crd(crd)
    return catalog


def _place(kind: Kind) -> tuple[str, str, str]:
    return kind.resource.group, kind.resource.version, kind.resource.plural


class Crash(BaseException):
    """The operator's process ends here."""


class World:
    """An API server with our CRDs, and who wrote what to it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        # A copy, since a test may install more CRDs.
        self.server = ApiServer(self.clock, Catalog({_place(k): k for k in _catalog()}))
        self.writes: list[tuple[str, Request, int]] = []  # user, request, status
        # Set by a test to interfere: before a request (None) or after it (its response).
        self.fault: Callable[[Request, Response | None], Response | None] = lambda *_: None
        self.server.faults = self._on_request

    def fork(self) -> Self:
        """A world of its own that begins as this one is; its operators have ended."""
        twin = copy.copy(self)
        twin.clock = FakeClock()
        twin.clock.elapsed_s = self.clock.elapsed_s
        twin.server = self.server.fork(twin.clock)
        twin.writes = []
        twin.fault = lambda *_: None
        twin.server.faults = twin._on_request
        return twin

    def _on_request(self, request: Request, response: Response | None) -> Response | None:
        answer = self.fault(request, response) if request.user != ADMIN else None
        if response is not None and request.method in _WRITES:
            self.writes.append((request.user, request, response.status))
        return answer

    def must(self, method: str, path: str, body: Json | None = None) -> Json:
        """A request by the administrator that has to succeed."""
        headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        response = self.server.handle(Request(method, path, {}, headers, body, ADMIN))
        assert response.status < 300, response.body
        assert isinstance(response.body, dict)
        return response.body

    def create(self, obj: Json) -> Json:
        ref = ref_of(obj)
        return self.must("POST", ref.resource.path(ref.namespace), obj)

    def edit(self, ref: Ref, patch: Json, subresource: str = "") -> Json:
        return self.must("PATCH", ref.resource.path(ref.namespace, ref.name, subresource), patch)

    def delete(self, ref: Ref) -> None:
        self.must("DELETE", ref.resource.path(ref.namespace, ref.name))

    def get(self, ref: Ref) -> Json | None:
        path = ref.resource.path(ref.namespace, ref.name)
        response = self.server.handle(Request("GET", path, user=ADMIN))
        return response.body if response.status == 200 and isinstance(response.body, dict) else None

    def objects(self, resource: Resource, namespace: str = "default") -> list[Json]:
        return list(self.must("GET", resource.path(namespace))["items"])

    def reader(self, user: str = "operator") -> InProcessReader:
        return InProcessReader(self.server, user)

    def writer(self, user: str = "operator") -> InProcessWriter:
        return InProcessWriter(self.server, user)

    def writes_of(self, user: str = "operator", but: str = "leases") -> list[str]:
        """The writes of one user as ``METHOD path``, less those to a resource."""
        return [
            f"{request.method} {request.path}"
            for who, request, _ in self.writes
            if who == user and f"/{but}" not in request.path
        ]

    def operator(
        self,
        identity: str = "operator",
        *,
        planners: Mapping[Resource, Planner] | None = None,
        leader_elect: bool = False,
        watch_namespaces: tuple[str, ...] = (),
        seed: int = 0,
        shard: str = "",
        settings: Settings | None = None,
        prober: Prober | None = None,
        control_plane: ControlPlane | None = None,
    ) -> Operator:
        more = {} if planners is None else {"planners": planners}
        return Operator(
            reader=self.reader(identity),
            writer=self.writer(identity),
            clock=self.clock,
            settings=settings or Settings(),
            options=Options(
                watch_namespaces=watch_namespaces,
                leader_elect=leader_elect,
                shard=shard,
                lease_namespace="default",
            ),
            metrics=NoMetrics(),
            streams=Streams(seed),
            identity=identity,
            prober=prober,
            control_plane=control_plane,
            **more,
        )

    def run(self, *operators: Operator, seconds: float = 0.0) -> None:
        """Steps the operators whenever one of them has something to do within ``seconds``."""
        until_s = self.clock.elapsed_s + seconds
        while True:
            due = [due_s for o in operators if (due_s := o.step()) is not None]
            next_s = min(due, default=until_s + 1)
            if next_s > until_s:
                break
            self.clock.elapsed_s = max(next_s, self.clock.elapsed_s)
        self.clock.elapsed_s = max(until_s, self.clock.elapsed_s)
