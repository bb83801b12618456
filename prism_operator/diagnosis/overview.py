"""A stack or pattern at a glance: its parts, how many are ready, who scales them, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.diagnosis.ages import age_text, parse_time
from prism_operator.diagnosis.facts import Facts, condition_of, prism_objects, since_of
from prism_operator.diagnosis.rules.operator import changed_at, is_unseen
from prism_operator.diagnosis.workloads import Workload, is_pod_ready, workloads
from prism_operator.planning.conditions import NOT_CHECKED
from prism_operator.planning.placement_strategies import SPOT_LABELS, ZONE

HEADINGS: Final = ("COMPONENT", "READY", "SCALER", "ZONES", "NODES", "BUDGET", "AGE")
# Conditions that are fine when true; of all others that stand there, when false.
_FINE_WHEN_TRUE: Final = frozenset(
    {"Ready", "BackendsHealthy", "NamespacesProvisioned", "BackendResolved", "ScalerReady"}
)
_SUMMARIES: Final = frozenset({"Reconciling", "Progressing", "Degraded", "Stalled"})


@dataclass(frozen=True, slots=True)
class Part:
    """One line: a component, a backend or a namespace."""

    name: str
    ready: str
    is_fine: bool
    scaler: str = ""
    zones: str = ""
    nodes: str = ""
    budget: str = ""
    age: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's columns, as ``HEADINGS`` names them."""
        texts = (self.scaler, self.zones, self.nodes, self.budget, self.age)
        return (self.name, self.ready, *(text or "-" for text in texts))


@dataclass(frozen=True, slots=True)
class Overview:
    """One stack or stand-alone pattern; ``remarks`` are the conditions that are not fine."""

    kind: str
    namespace: str
    name: str
    phase: str
    ready: str
    age: str
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def title(self) -> str:
        """The object in one line."""
        name = f"{self.kind} {self.namespace}/{self.name}"
        return f"{name}  {self.phase}  Ready={self.ready}  {self.age}"

    def as_json(self) -> Json:
        """The same for programs."""
        return asdict(self)

    def without_ages(self) -> Overview:
        """What stays the same while nothing happens but time."""
        parts = tuple(replace(part, age="") for part in self.parts)
        remarks = tuple(remark.rpartition("  (")[0] for remark in self.remarks)
        return replace(self, age="", parts=parts, remarks=remarks)


def overview_of(facts: Facts) -> Overview:
    """What there is to see of a stack or pattern."""
    subject, now = facts.subject, facts.now
    meta, status = subject["metadata"], subject.get("status") or {}
    ready = condition_of(subject, "Ready")
    return Overview(
        kind=subject["kind"],
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.get("phase") or "Unknown",
        ready=ready["status"] if ready else "Unknown",
        age=age_text(parse_time(meta.get("creationTimestamp")), now),
        parts=(*(_part(w, facts) for w in workloads(facts)), *_others(facts)),
        remarks=tuple(_remarks(facts)),
        unread=tuple(str(unread) for unread in sorted(facts.seen.unread)),
    )


def _part(workload: Workload, facts: Facts) -> Part:
    nodes = [facts.get("Node", "", p["spec"].get("nodeName", "")) for p in workload.pods]
    readable = facts.could_not_read("Node") is None
    ready = sum(is_pod_ready(pod) for pod in workload.pods)
    return Part(
        name=_label(workload),
        ready=f"{ready}/{workload.replicas}",
        is_fine=ready == workload.replicas == workload.available,
        scaler=_scaler(workload, facts),
        zones=_counts([_zone(node) for node in nodes]) if readable else "?",
        nodes=_counts([_capacity(node) for node in nodes]) if readable else "?",
        budget=_budget(workload, facts),
        age=age_text(
            parse_time(workload.deployment["metadata"].get("creationTimestamp")), facts.now
        ),
    )


def _label(workload: Workload) -> str:
    short = workload.path.removeprefix("spec.")
    return short if short in ("proxy", "admin") else f"pattern {workload.name}"


def _others(facts: Facts) -> Iterator[Part]:
    """Patterns without a Deployment, backends and namespaces."""
    for obj in prism_objects(facts):
        kind = obj["kind"].removeprefix("Prism").lower()
        if kind == "stack" or (kind == "pattern" and facts.owned_by(obj, "Deployment")):
            continue
        ready = condition_of(obj, "Ready") or {"status": "Unknown", "reason": "NoStatus"}
        known = ready["status"] == "True" or ready["reason"] == NOT_CHECKED
        yield Part(
            name=f"{kind} {obj['metadata']['name']}",
            ready="Ready" if ready["status"] == "True" else ready["reason"],
            is_fine=known,
            age=age_text(parse_time(obj["metadata"].get("creationTimestamp")), facts.now),
        )


def _scaler(workload: Workload, facts: Facts) -> str:
    for kind, short, bounds in (
        ("ScaledObject", "keda", ("minReplicaCount", "maxReplicaCount")),
        ("HorizontalPodAutoscaler", "hpa", ("minReplicas", "maxReplicas")),
    ):
        for scaler in facts.of_kind(kind):
            spec = scaler["spec"]
            is_there = scaler["metadata"]["namespace"] == workload.namespace
            if not is_there or spec["scaleTargetRef"].get("name") != workload.name:
                continue
            status = _hpa_status(scaler, facts)
            current = status.get("currentReplicas", workload.replicas)
            wanted = status.get("desiredReplicas", workload.replicas)
            if current and not wanted:
                wanted = "?"  # it has no metrics to go by
            least, most = (
                spec.get(bound, default) for bound, default in zip(bounds, (1, "?"), strict=True)
            )
            return f"{short} {current}→{wanted} ({least}–{most})"
    return ""


def _hpa_status(scaler: ReadOnlyJson, facts: Facts) -> Json:
    status: Json = scaler.get("status") or {}
    if scaler["kind"] == "ScaledObject" and (name := status.get("hpaName")):
        hpa = facts.get("HorizontalPodAutoscaler", scaler["metadata"]["namespace"], name)
        return (hpa or {}).get("status") or {}
    return status


def _budget(workload: Workload, facts: Facts) -> str:
    budget = facts.get("PodDisruptionBudget", workload.namespace, workload.name)
    if budget is None:
        return ""
    allowed = (budget.get("status") or {}).get("disruptionsAllowed")
    return "" if allowed is None else f"{allowed} may go"


def _zone(node: ReadOnlyJson | None) -> str:
    if node is None:
        return "unscheduled"
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    return labels.get(ZONE, "no zone")


def _capacity(node: ReadOnlyJson | None) -> str:
    if node is None:
        return "unscheduled"
    labels = node["metadata"].get("labels") or {}
    return "spot" if any(labels.get(k) == v for k, v in SPOT_LABELS.items()) else "on-demand"


def _counts(values: Sequence[str]) -> str:
    return " ".join(f"{value}:{count}" for value, count in sorted(Counter(values).items()))


def _remarks(facts: Facts) -> Iterator[str]:
    if is_unseen(facts.subject):
        age = age_text(changed_at(facts.subject), facts.now)
        yield f"no operator has looked at its newest spec  ({age})"
    for obj in prism_objects(facts):
        for condition in (obj.get("status") or {}).get("conditions") or ():
            type_, status = condition["type"], condition["status"]
            if type_ in _SUMMARIES or condition["reason"] == NOT_CHECKED:
                continue
            if status == ("True" if type_ in _FINE_WHEN_TRUE else "False"):
                continue
            where = "" if obj is facts.subject else f"{obj['kind']} {obj['metadata']['name']}: "
            age = age_text(since_of(condition), facts.now)
            message = " ".join(condition.get("message", "").split())
            yield f"{where}{type_} is {status} ({condition['reason']}): {message}  ({age})"
