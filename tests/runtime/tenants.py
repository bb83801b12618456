"""A cluster in memory with a stack, its control plane, and a tenant's namespace on its proxy."""

from __future__ import annotations

from typing import Any

from prism_operator.api.meta import PRISM_NAMESPACE, PRISM_STACK, SERVICE, Json, Ref
from prism_operator.planning.settings import Settings
from prism_operator.runtime.operator import Operator
from simulator.control_planes import ControlPlaneState, SimulatedControlPlanes

from .world import World

STACK = Ref(PRISM_STACK, "default", "demo")
PROXY = Ref(SERVICE, "default", "demo-proxy")
TENANT = Ref(PRISM_NAMESPACE, "default", "acme")
ID = "acme-prod"


class Tenants(World):
    """A world with a stack whose control plane is up."""

    def __init__(self, **stack: Any) -> None:
        super().__init__()
        self.planes = SimulatedControlPlanes(self.clock)
        self.apply(STACK, {"admin": {}, **stack})

    def start(self, identity: str = "operator", *, leader_elect: bool = False) -> Operator:
        return self.operator(
            identity,
            settings=Settings(provision_namespaces=True),
            control_plane=self.planes.client(),
            leader_elect=leader_elect,
        )

    def apply(self, ref: Ref, spec: Json) -> None:
        api_version, kind = ref.resource.api_version, ref.resource.kind
        metadata = {"name": ref.name, "namespace": ref.namespace}
        self.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})

    def add(self, ref: Ref = TENANT, **spec: Any) -> None:
        proxy = {"name": PROXY.name, "namespace": PROXY.namespace}
        self.apply(ref, {"namespaceId": ID, "proxyRef": proxy, **spec})

    def find(self, state: ControlPlaneState, stack: str = "demo") -> None:
        self.planes.set("default", stack, state)

    def on_proxy(self, stack: str = "demo") -> set[str]:
        return set(self.planes.of("default", stack).namespaces)

    def told(self) -> dict[str, str]:
        """The metadata that the control plane has of the tenant."""
        return dict(self.planes.of("default", "demo").namespaces[ID].metadata)

    def status(self, ref: Ref = TENANT) -> Json:
        found = self.get(ref)
        assert found is not None, f"{ref} does not exist"
        status: Json = found.get("status") or {}
        return status

    def condition(self, kind: str, ref: Ref = TENANT) -> tuple[str, str]:
        found = next((c for c in self.status(ref)["conditions"] if c["type"] == kind), None)
        assert found is not None, f"no condition {kind}"
        return found["status"], found["reason"]

    def ready(self, ref: Ref = TENANT) -> tuple[str, str]:
        return self.condition("Ready", ref)

    def events(self) -> list[tuple[str, str]]:
        listed = self.must("GET", "/apis/events.k8s.io/v1/namespaces/default/events")["items"]
        return [(e["reason"], e.get("note", "")) for e in listed]
