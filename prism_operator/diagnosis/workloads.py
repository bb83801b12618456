"""Deployments with their pods, and which field of which object they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.diagnosis.facts import (
    OPERATOR_LABEL,
    Facts,
    condition_of,
    is_condition,
    named,
    prism_objects,
    since_of,
)
from prism_operator.diagnosis.findings import Evidence

_REVISION = "deployment.kubernetes.io/revision"
_PATHS = {"prism-proxy": "spec.proxy", "prism-admin": "spec.admin"}


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment; ``chain`` are the Prism objects from the subject down to its owner."""

    deployment: Json
    chain: tuple[Json, ...]
    replica_sets: tuple[Json, ...]
    pods: tuple[Json, ...]  # without those on their way out

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return str(self.deployment["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The Deployment's namespace."""
        return str(self.deployment["metadata"]["namespace"])

    @property
    def replicas(self) -> int:
        """How many pods there should be."""
        return int(self.deployment["spec"].get("replicas", 1))

    @property
    def available(self) -> int:
        """How many pods have been ready long enough."""
        return int((self.deployment.get("status") or {}).get("availableReplicas", 0))

    @property
    def newest(self) -> Json | None:
        """The ReplicaSet of the newest version, if there is one yet."""
        return max(self.replica_sets, key=_revision, default=None)

    @property
    def path(self) -> str:
        """The field that describes the pods."""
        labels = self.deployment["metadata"].get("labels") or {}
        if (path := _PATHS.get(labels.get("component", ""))) is not None:
            return path
        if not self.chain:
            return "spec.template.spec.containers[0]"
        stack = _stack_of(self.chain[-1])
        return f"spec.patterns[name={self.name}]" if stack else "spec"

    @property
    def edit(self) -> str:
        """The command that edits that field."""
        if not self.chain:
            return f"kubectl edit deployment {self.name} -n {self.namespace}"
        owner = self.chain[-1]
        return edit_command(owner)

    @property
    def trail(self) -> tuple[Evidence, ...]:
        """The links from the subject to the Deployment."""
        links = [ready_link(obj) for obj in self.chain]
        counts = f"{self.available} of {self.replicas} replicas are available"
        progress = condition_of(self.deployment, "Available")
        links.append(Evidence(f"Deployment {self.name}", counts, since_of(progress)))
        return tuple(links)


def workloads(facts: Facts) -> Iterator[Workload]:
    """The Deployments of the subject and of the Prism objects it made; the proxy's comes first."""
    for obj in prism_objects(facts):
        chain = (facts.subject,) if obj is facts.subject else (facts.subject, obj)
        found = [workload_of(facts, d, chain) for d in facts.owned_by(obj, "Deployment")]
        yield from sorted(found, key=lambda workload: workload.path == _PATHS["prism-admin"])


def operator_workloads(facts: Facts) -> Sequence[Workload]:
    """The operator's own Deployments, where it runs as pods."""
    key, value = OPERATOR_LABEL
    return [
        workload_of(facts, deployment, ())
        for deployment in facts.of_kind("Deployment")
        if (deployment["metadata"].get("labels") or {}).get(key) == value
        and deployment["metadata"]["namespace"] in facts.seen.operator_namespaces
    ]


def workload_of(facts: Facts, deployment: Json, chain: tuple[Json, ...]) -> Workload:
    """A Deployment with what belongs to it."""
    replica_sets = facts.owned_by(deployment, "ReplicaSet")
    pods = [pod for rs in replica_sets for pod in facts.owned_by(rs, "Pod")]
    staying = (pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))
    return Workload(deployment, chain, tuple(replica_sets), tuple(staying))


def is_pod_ready(pod: ReadOnlyJson) -> bool:
    """Whether the pod serves."""
    return is_condition(pod, "Ready", "True")


def ready_link(obj: Json) -> Evidence:
    """What a Prism object says of itself."""
    ready = condition_of(obj, "Ready")
    if ready is None:
        return Evidence(named(obj["kind"], obj), "has no status yet")
    told = f"Ready is {ready['status']} ({ready['reason']})"
    message = ready.get("message")
    return Evidence(
        named(obj["kind"], obj), f"{told}: {message}" if message else told, since_of(ready)
    )


def edit_command(obj: ReadOnlyJson) -> str:
    """Edits a Prism object where its spec comes from: a stack's part, in the stack."""
    namespace = obj["metadata"]["namespace"]
    stack = _stack_of(obj)
    if stack is not None:
        return f"kubectl edit prismstack {stack} -n {namespace}"
    return f"kubectl edit {obj['kind'].lower()} {obj['metadata']['name']} -n {namespace}"


def _stack_of(obj: ReadOnlyJson) -> str | None:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == "PrismStack":
            return str(owner["name"])
    return None


def _revision(replica_set: ReadOnlyJson) -> tuple[int, str]:
    text = (replica_set["metadata"].get("annotations") or {}).get(_REVISION, "")
    return (int(text) if text.isdecimal() else 0, replica_set["metadata"]["name"])
