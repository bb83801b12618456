"""The node lifecycle and taint eviction controllers.

Source: pkg/controller/nodelifecycle and pkg/controller/tainteviction of Kubernetes 1.37. A node
whose kubelet was not heard of for 50 s becomes NotReady, found out every 5 s; its pods become
unready and it is tainted, NoExecute at most one node in ten seconds per zone; pods go when their
toleration ends, after 300 s unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum

from prism_operator.api.meta import NODE, POD, Json, ReadOnlyJson, Ref, ref_of, uid_of
from simulator.controllers.objects import (
    condition,
    is_deleting,
    is_ready,
    labels_of,
    node_of,
    replace_condition,
    timestamp,
    with_status,
)
from simulator.controllers.world import Change, RefusedError, World
from simulator.kernel import SECOND_US, Us

GRACE_PERIOD_US = 50 * SECOND_US  # --node-monitor-grace-period
MONITOR_PERIOD_US = 5 * SECOND_US  # --node-monitor-period
EVICTION_INTERVAL_US = 10 * SECOND_US  # --node-eviction-rate 0.1
SECONDARY_INTERVAL_US = 100 * SECOND_US  # --secondary-node-eviction-rate 0.01
LARGE_ZONE = 50  # --large-cluster-size-threshold
UNHEALTHY_ZONE = 0.55  # --unhealthy-zone-threshold
UNREACHABLE = "node.kubernetes.io/unreachable"
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class ZoneState(Enum):
    """How much of a zone is lost, which decides how fast it is given up."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_state(ready: int, not_ready: int) -> ZoneState:
    """The state of a zone with so many nodes of each kind."""
    if ready == 0 and not_ready > 0:
        return ZoneState.FULL
    if not_ready > 2 and not_ready / (ready + not_ready) >= UNHEALTHY_ZONE:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def eviction_interval_us(state: ZoneState, nodes: int) -> Us | None:
    """The time between two nodes of a zone being given up; None: none is."""
    if state is not ZoneState.PARTIAL:
        return EVICTION_INTERVAL_US
    return SECONDARY_INTERVAL_US if nodes > LARGE_ZONE else None


def tolerated_s(taints: Iterable[ReadOnlyJson], pod: ReadOnlyJson) -> int | None:
    """For how long a pod bears NoExecute taints: 0 not at all, None for ever."""
    shortest = None
    for taint in taints:
        if taint["effect"] != "NoExecute":
            continue
        fitting = [t for t in pod["spec"].get("tolerations") or () if tolerates(t, taint)]
        if not fitting:
            return 0
        # Of several tolerations that fit a taint the first is used.
        seconds = fitting[0].get("tolerationSeconds")
        if seconds is not None:
            shortest = max(0, seconds if shortest is None else min(shortest, seconds))
    return shortest


def tolerates(toleration: ReadOnlyJson, taint: ReadOnlyJson) -> bool:
    """Whether a toleration fits a taint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


class NodeLifecycle:
    """Watches kubelets, taints nodes and evicts pods. ``step`` is called when something changed."""

    def __init__(
        self,
        world: World,
        pods_on: Callable[[str], Sequence[Json]],
        last_heartbeat_us: Callable[[str], Us],
        on_eviction: Callable[[Ref], None],
    ) -> None:
        self._world, self._pods_on = world, pods_on
        self._last_heartbeat_us, self._on_eviction = last_heartbeat_us, on_eviction
        self._to_taint: dict[str, set[str]] = {}
        self._zone_free_at: dict[str, Us] = {}
        self._evict_at: dict[tuple[Ref, str], Us] = {}
        self._dirty_nodes: set[str] = set()
        self._all_lost = False
        self._heard_of_all_at: Us = 0

    def changed(self, change: Change) -> None:
        """Notes the nodes whose pods may have to go, or may stay after all."""
        if change.ref.resource == NODE:
            old, new = change.old, change.new
            if new is None or _taints(new) != _taints(old or {}):
                self._dirty_nodes.add(change.ref.name)
        elif change.ref.resource == POD and node_of(change.latest):
            before = node_of(change.old) if change.old else ""
            if change.new is None or node_of(change.new) != before:
                self._dirty_nodes.add(node_of(change.latest))

    def step(self, now_us: Us) -> Us | None:
        """Does what is due; answers when something is due next, None if not before a change."""
        nodes = self._world.list(NODE)
        # Kubelets are looked at on the monitor's beat, not whenever something else happens.
        if now_us % MONITOR_PERIOD_US == 0:
            self._monitor(nodes, now_us)
        if any(self._to_taint.values()) and not self._all_lost:
            self._taint_queued(now_us)
        self._plan_evictions(now_us)
        self._evict(now_us)
        return self._next_due(nodes, now_us)

    # Health

    def _heard_at(self, node: Json) -> Us:
        """When a node was heard of, as far as that counts."""
        return max(self._last_heartbeat_us(node["metadata"]["name"]), self._heard_of_all_at)

    def _monitor(self, nodes: Sequence[Json], now_us: Us) -> None:
        for node in nodes:
            if now_us - self._heard_at(node) > GRACE_PERIOD_US:
                if not _is_unknown(node):
                    self._mark_unknown(node)
            elif is_ready(node):
                self._forgive(node)
        by_zone = self._by_zone(self._world.list(NODE))
        for zone, members in by_zone.items():
            for node in members:
                if _is_unknown(node) and not any(map(_evicts, _taints(node))):
                    self._to_taint.setdefault(zone, set()).add(node["metadata"]["name"])
        self._note_whether_all_are_lost(map(_state, by_zone.values()), now_us)

    def _mark_unknown(self, node: Json) -> None:
        now, status = timestamp(self._world.unix_us()), node.get("status") or {}
        conditions = status.get("conditions") or []
        for type_ in _WATCHED:
            before = condition({"status": {"conditions": conditions}}, type_) or {}
            new = {
                **before,
                "type": type_,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            conditions = replace_condition(conditions, new)
        marked = self._world.update(
            with_status(node, {**status, "conditions": conditions}), "status"
        )
        self._set_taints(marked, [*_others(marked), _unreachable("NoSchedule", now)])
        name = node["metadata"]["name"]
        message = f"Node {name} status is now: NodeNotReady"
        self._world.event(marked, "Normal", "NodeNotReady", message)
        for pod in self._pods_on(name):
            self._mark_unready(pod, now)

    def _mark_unready(self, pod: Json, now: str) -> None:
        ready = condition(pod, "Ready")
        if ready is None or ready["status"] != "True":
            return
        new = {**ready, "status": "False", "lastTransitionTime": now}
        status = pod["status"]
        conditions = replace_condition(status["conditions"], new)
        self._world.update(with_status(pod, {**status, "conditions": conditions}), "status")
        self._world.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    def _forgive(self, node: Json) -> None:
        for names in self._to_taint.values():
            names.discard(node["metadata"]["name"])
        if any(t["key"] == UNREACHABLE for t in _taints(node)):
            self._set_taints(node, _others(node))

    def _set_taints(self, node: Json, taints: list[Json]) -> None:
        self._world.update({**node, "spec": {**node["spec"], "taints": taints}})

    # Taints that evict

    def _taint_queued(self, now_us: Us) -> None:
        by_zone = self._by_zone(self._world.list(NODE))
        states = {zone: _state(members) for zone, members in by_zone.items()}
        for zone, names in sorted(self._to_taint.items()):
            members = by_zone.get(zone, [])
            interval = eviction_interval_us(states.get(zone, ZoneState.NORMAL), len(members))
            while names and interval is not None and self._zone_free_at.get(zone, 0) <= now_us:
                name = min(names)
                names.remove(name)
                node = self._world.get(Ref(NODE, "", name))
                if node is None or not _is_unknown(node):
                    continue
                self._zone_free_at[zone] = now_us + interval
                new = _unreachable("NoExecute", timestamp(self._world.unix_us()))
                self._set_taints(node, [*_taints(node), new])

    def _note_whether_all_are_lost(self, states: Iterable[ZoneState], now_us: Us) -> None:
        """With every zone lost the fault is more likely ours: nobody is evicted any more.

        When the first node is back, the others get a new grace period.
        """
        before, self._all_lost = self._all_lost, all(s is ZoneState.FULL for s in states)
        if self._all_lost and not before:
            self._to_taint.clear()
            for node in self._world.list(NODE):
                if any(map(_evicts, _taints(node))):
                    kept = [t for t in _taints(node) if not _evicts(t)]
                    self._set_taints(node, kept)
        elif before and not self._all_lost:
            self._heard_of_all_at = now_us

    # Eviction

    def _plan_evictions(self, now_us: Us) -> None:
        while self._dirty_nodes:
            name = min(self._dirty_nodes)
            self._dirty_nodes.remove(name)
            node = self._world.get(Ref(NODE, "", name))
            taints = [t for t in _taints(node or {}) if t["effect"] == "NoExecute"]
            pods = {(ref_of(p), uid_of(p)): p for p in self._pods_on(name)}
            for key, pod in pods.items():
                after_s = tolerated_s(taints, pod) if taints else None
                if after_s is None:
                    self._evict_at.pop(key, None)
                else:
                    due = now_us + after_s * SECOND_US
                    self._evict_at[key] = min(due, self._evict_at.get(key, due))

    def _evict(self, now_us: Us) -> None:
        for key in sorted(key for key, at in self._evict_at.items() if at <= now_us):
            del self._evict_at[key]
            ref, uid = key
            pod = self._world.get(ref)
            if pod is None or uid_of(pod) != uid or is_deleting(pod):
                continue
            name = f"{ref.namespace}/{ref.name}"
            self._world.event(
                pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {name}"
            )
            try:
                self._world.update(self._with_disruption(pod), "status")
                self._world.delete(ref, uid)
            except RefusedError:
                continue  # it is gone or being deleted by somebody else
            self._on_eviction(ref)

    def _with_disruption(self, pod: Json) -> Json:
        new = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": timestamp(self._world.unix_us()),
        }
        status = pod.get("status") or {}
        conditions = replace_condition(status.get("conditions") or (), new)
        return with_status(pod, {**status, "conditions": conditions})

    # Waiting

    def _next_due(self, nodes: Sequence[Json], now_us: Us) -> Us | None:
        dues = list(self._evict_at.values())
        beat = (now_us // MONITOR_PERIOD_US + 1) * MONITOR_PERIOD_US
        for node in nodes:
            silent_us = now_us - self._heard_at(node)
            if _is_unknown(node) or any(t["key"] == UNREACHABLE for t in _taints(node)):
                dues.append(beat)
            elif silent_us > 0:
                # The first beat at which the silence is longer than the grace period.
                late = now_us - silent_us + GRACE_PERIOD_US
                dues.append((late // MONITOR_PERIOD_US + 1) * MONITOR_PERIOD_US)
        return min(dues, default=None)

    @staticmethod
    def _by_zone(nodes: Sequence[Json]) -> Mapping[str, list[Json]]:
        zones: dict[str, list[Json]] = {}
        for node in nodes:
            labels = labels_of(node)
            zone = (
                labels.get("topology.kubernetes.io/region", "")
                + ":"
                + labels.get("topology.kubernetes.io/zone", "")
            )
            zones.setdefault(zone, []).append(node)
        return zones


def _state(nodes: Sequence[Json]) -> ZoneState:
    ready = sum(map(is_ready, nodes))
    return zone_state(ready, len(nodes) - ready)


def _is_unknown(node: ReadOnlyJson) -> bool:
    ready = condition(node, "Ready")
    return ready is not None and ready["status"] == "Unknown"


def _taints(node: ReadOnlyJson) -> list[Json]:
    return list((node.get("spec") or {}).get("taints") or ())


def _others(node: ReadOnlyJson) -> list[Json]:
    return [t for t in _taints(node) if t["key"] != UNREACHABLE]


def _evicts(taint: ReadOnlyJson) -> bool:
    return (taint["key"], taint["effect"]) == (UNREACHABLE, "NoExecute")


def _unreachable(effect: str, now: str) -> Json:
    return {"key": UNREACHABLE, "effect": effect, "timeAdded": now}
