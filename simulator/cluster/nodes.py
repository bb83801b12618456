"""Node objects, and the machines behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prism_operator.api.meta import NODE, Json, Ref
from simulator.controllers.objects import condition, replace_condition, timestamp, with_status
from simulator.controllers.world import World
from simulator.kernel import SECOND_US, Us

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
HOSTNAME_LABEL = "kubernetes.io/hostname"
# A kubelet renews its Lease this often (a quarter of nodeLeaseDurationSeconds, 40 s).
HEARTBEAT_PERIOD_US = 10 * SECOND_US
_CONDITIONS = {
    "MemoryPressure": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one shape: those that have names where these say, all others evenly over zones."""

    name: str
    zones: Sequence[str]
    count: int
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Json] = ()
    region_of: Callable[[str], str] = lambda _: "region-1"
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def places(self) -> list[tuple[str, int]]:
        """Zone and number in it of each node that is there from the start."""
        longest = max(map(len, self.names.values()), default=0)
        named = [
            (zone, number)
            for number in range(longest)
            for zone in self.zones
            if number < len(self.names.get(zone, ()))
        ][: self.count]
        counts = {zone: sum(z == zone for z, _ in named) for zone in self.zones}
        places = list(named)
        while len(places) < self.count:
            zone = min(self.zones, key=counts.__getitem__)
            places.append((zone, counts[zone]))
            counts[zone] += 1
        return places

    def name_of(self, zone: str, number: int) -> str:
        """What the node in that place is called."""
        own = self.names.get(zone, ())
        if number < len(own):
            return own[number]
        return "-".join(filter(None, (self.name, zone, str(number))))


@dataclass(slots=True)
class Machine:
    """What happens behind a Node: a kubelet that runs, or not."""

    name: str
    zone: str
    # Kubelets start at different times, so their heartbeats do not fall together.
    heartbeat_offset_us: Us
    down_since: Us | None = None
    pulled_at: dict[str, Us] = field(default_factory=dict)  # may be in the future
    pull_free_at: Us = 0  # images are pulled one after another
    ordinal: int = 0
    addresses: int = 0

    def next_address(self) -> str:
        """An address for a pod, from the /24 network of this machine."""
        self.addresses = self.addresses % 254 + 1
        return f"10.{self.ordinal // 256 % 200}.{self.ordinal % 256}.{self.addresses}"

    def last_heartbeat(self, now_us: Us) -> Us:
        """When its Lease was renewed last; now, as long as the machine is up."""
        if self.down_since is None:
            return now_us
        periods = (self.down_since - self.heartbeat_offset_us) // HEARTBEAT_PERIOD_US
        return periods * HEARTBEAT_PERIOD_US + self.heartbeat_offset_us


def build_node(pool: Pool, name: str, zone: str, ordinal: int, unix_us: int) -> Json:
    """The Node object as a kubelet registers it, ready."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        HOSTNAME_LABEL: name,
        # Where nobody says it, as on one machine, nodes have no such label.
        **({ZONE_LABEL: zone} if zone else {}),
        **({REGION_LABEL: region} if (region := pool.region_of(zone)) else {}),
        "pool": pool.name,
        **pool.labels,
    }
    address = f"10.{200 + ordinal // 65536}.{ordinal // 256 % 256}.{ordinal % 256}"
    return {
        "apiVersion": NODE.api_version,
        "kind": NODE.kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "providerID": f"sim://{zone}/{name}",
            **({"taints": list(pool.taints)} if pool.taints else {}),
        },
        "status": {
            "allocatable": dict(pool.allocatable),
            "capacity": dict(pool.allocatable),
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "conditions": ready_conditions(unix_us),
        },
    }


def ready_conditions(unix_us: int) -> list[Json]:
    """The conditions that a healthy kubelet posts."""
    now = timestamp(unix_us)
    return [
        _condition(type_, "False", reason, message, now)
        for type_, (reason, message) in _CONDITIONS.items()
    ] + [_condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now)]


def _condition(type_: str, status: str, reason: str, message: str, now: str) -> Json:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def post_ready(world: World, name: str) -> None:
    """Has a kubelet that is back say that its node is ready."""
    node = world.get(Ref(NODE, "", name))
    if node is None:
        return
    conditions = list((node.get("status") or {}).get("conditions") or ())
    for new in ready_conditions(world.unix_us()):
        before = condition({"status": {"conditions": conditions}}, new["type"])
        if before is not None and before["status"] == new["status"]:
            new["lastTransitionTime"] = before["lastTransitionTime"]
        conditions = replace_condition(conditions, new)
    world.update(with_status(node, {**node["status"], "conditions": conditions}), "status")
