"""What the pods of a Deployment have in common that keeps them from being ready."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prism_operator.api.meta import Json, controller_uid_of, uid_of
from prism_operator.diagnosis.ages import parse_time
from prism_operator.diagnosis.facts import Facts, condition_of, named, since_of
from prism_operator.diagnosis.findings import Evidence, Finding
from prism_operator.diagnosis.pod_rules import POD_RULES, Trouble
from prism_operator.diagnosis.workloads import Workload, is_pod_ready, workloads
from prism_operator.planning.conditions import PLACEMENT_UNSATISFIABLE

_PODS_SHOWN_MAX: Final = 3


def find_pod_trouble(facts: Facts) -> Iterator[Finding]:
    """Pods are there and not ready; roots first, whichever Deployment they are in."""
    found = [(order, f) for w in workloads(facts) for order, f in _ordered(w, facts)]
    yield from (finding for _, finding in sorted(found, key=lambda pair: pair[0]))


def pod_findings(workload: Workload, facts: Facts) -> Iterator[Finding]:
    """The same for one Deployment."""
    yield from (finding for _, finding in _ordered(workload, facts))


def judge_pod(pod: Json, workload: Workload, facts: Facts) -> tuple[int, Trouble] | None:
    """The first rule that says why a pod is not ready, by its place in the table."""
    for order, rule in enumerate(POD_RULES):
        if (trouble := rule(pod, workload, facts)) is not None:
            return order, trouble
    return None


def _ordered(workload: Workload, facts: Facts) -> list[tuple[int, Finding]]:
    groups: dict[tuple[int, str, str], list[tuple[Json, Trouble]]] = {}
    for pod in workload.pods:
        if is_pod_ready(pod):
            continue
        if (judged := judge_pod(pod, workload, facts)) is not None:
            order, trouble = judged
            groups.setdefault((order, trouble.reason, trouble.key), []).append((pod, trouble))
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[0]))
    return [(key[0], _finding(workload, members)) for key, members in ordered]


def _finding(workload: Workload, members: list[tuple[Json, Trouble]]) -> Finding:
    trouble = members[0][1]
    total = max(workload.replicas, len(workload.pods))
    where = f"{len(members)} of {total} pods of Deployment {workload.name}"
    links = [
        Evidence(named("Pod", pod), told.what, told.since or _created(pod))
        for pod, told in members[:_PODS_SHOWN_MAX]
    ]
    if (more := len(members) - _PODS_SHOWN_MAX) > 0:
        links.append(Evidence(f"{more} more pods", "the same"))
    before, after = trouble.around
    sentence, reason = f"{before}{where}{after}", trouble.reason
    trail = workload.trail
    if trouble.is_placement and (placement := _placement(workload)):
        sentence, reason = f"{placement['message']} ({where} wait)", placement["reason"]
        what = f"{placement['type']} is {placement['status']} ({placement['reason']})"
        owner = workload.chain[-1]
        trail = (*trail, Evidence(named(owner["kind"], owner), what, since_of(placement)))
    return Finding(
        reason,
        sentence,
        (*trail, *_replica_set(workload, members[0][0]), *links, *trouble.more),
        trouble.remedy,
        about=workload.name,
    )


def _placement(workload: Workload) -> Json | None:
    """What the operator found out about the nodes, where it is about this Deployment."""
    owner = workload.chain[-1] if workload.chain else None
    condition = condition_of(owner, PLACEMENT_UNSATISFIABLE)
    if condition is None or condition["status"] != "True":
        return None
    # Messages begin with the paths of components.
    path = workload.path if owner is not None and owner["kind"] == "PrismStack" else "spec"
    return condition if f"{path}: " in condition["message"] else None


def _replica_set(workload: Workload, pod: Json) -> Iterator[Evidence]:
    """The version the pod is of, while there are others."""
    if len(workload.replica_sets) < 2:
        return
    for replica_set in workload.replica_sets:
        if uid_of(replica_set) == controller_uid_of(pod):
            which = "the newest version" if replica_set is workload.newest else "an older version"
            yield Evidence(named("ReplicaSet", replica_set), which, _created(replica_set))


def _created(pod: Json) -> datetime | None:
    return parse_time(pod["metadata"].get("creationTimestamp"))
