"""The operator itself: does it run, and has it looked at the newest spec?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.diagnosis.ages import age_text, duration_text, parse_time
from prism_operator.diagnosis.facts import LEASE_PREFIX, Facts, condition_of, named, prism_objects
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.rules.admission import refusals_of
from prism_operator.diagnosis.rules.pods import pod_findings
from prism_operator.diagnosis.rules.rollout import missing_deployments
from prism_operator.diagnosis.workloads import Workload, operator_workloads

# Beyond the Lease's own duration: its holder retries, and clocks differ.
_LEASE_MARGIN_S: Final = 5.0
# A running operator has looked at a new spec long before.
_PATIENCE_S: Final = 5.0
_DEPLOYMENT: Final = ("prism-operator-controller-manager", "prism-system")


@dataclass(frozen=True, slots=True)
class _State:
    """``runs`` is None when that cannot be told; ``why`` says why it does not run.

    It is ``unseen`` when there is no trace of it, as of one that runs elsewhere without a Lease.
    """

    runs: bool | None
    why: str
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    unseen: bool = False


def find_silent_operator(facts: Facts) -> Iterator[Finding]:
    """Nobody looks at the newest spec: the operator is gone, broken, or busy elsewhere."""
    unseen = _unseen_object(facts)
    if unseen is None:
        return
    state = _state(facts)
    since = changed_at(unseen)
    waiting_s = (facts.now - since).total_seconds() if since else 0.0
    generation = unseen["metadata"].get("generation", 0)
    seen = (unseen.get("status") or {}).get("observedGeneration", 0)
    what = f"generation {generation} of the spec is not looked at, only {seen}"
    link = Evidence(named(unseen["kind"], unseen), what if seen else "has no status yet", since)
    evidence = (link, *state.evidence)
    if state.runs is False:
        sentence = f"the operator is not running: {state.why}"
        yield Finding("OperatorNotRunning", sentence, evidence, state.remedy)
    elif waiting_s < _PATIENCE_S:
        sentence = "the operator has not looked at the newest spec yet, which is just a moment old"
        yield Finding("NotLookedAtYet", sentence, evidence, Remedy("Ask again in a few seconds"))
    elif state.runs is None:
        sentence = (
            f"nobody has looked at its newest spec for {duration_text(waiting_s)}, and {state.why}"
        )
        yield Finding("OperatorUnknown", sentence, evidence, state.remedy)
    else:
        namespace = unseen["metadata"]["namespace"]
        sentence = (
            f"the operator runs, but has not looked at its newest spec for "
            f"{duration_text(waiting_s)}: it may not watch namespace {namespace}, or it is stuck"
        )
        yield Finding(
            "OperatorBehind",
            sentence,
            evidence,
            Remedy("Look at its --watch-namespaces and its log", _look(operator_workloads(facts))),
        )


def find_dead_operator(facts: Facts) -> Iterator[Finding]:
    """The operator has looked at all there is, and stopped: the status may be out of date."""
    if _unseen_object(facts) is not None:
        return
    state = _state(facts)
    if state.runs is False and not state.unseen:
        yield Finding(
            "OperatorNotRunning",
            f"the operator is not running: {state.why}; the status may be out of date",
            state.evidence,
            state.remedy,
            # What somebody deleted since, it would have made again.
            blocks=any(missing_deployments(facts)),
        )


def is_unseen(obj: ReadOnlyJson) -> bool:
    """Whether no operator has looked at the newest spec."""
    seen = (obj.get("status") or {}).get("observedGeneration", 0)
    newest = obj["metadata"].get("generation", 0)
    return bool(seen < newest or condition_of(obj, "Ready") is None)


def _unseen_object(facts: Facts) -> Json | None:
    return next((obj for obj in prism_objects(facts) if is_unseen(obj)), None)


def changed_at(obj: ReadOnlyJson) -> datetime | None:
    """When the spec was written last, as far as the object tells."""
    meta = obj["metadata"]
    written = [
        entry.get("time", "")
        for entry in meta.get("managedFields") or ()
        if entry.get("subresource") != "status"
    ]
    return parse_time(max(written, default="")) or parse_time(meta.get("creationTimestamp"))


def _state(facts: Facts) -> _State:
    leases = [o for o in facts.of_kind("Lease") if o["metadata"]["name"].startswith(LEASE_PREFIX)]
    lease = max(leases, key=lambda o: (o["spec"] or {}).get("renewTime") or "", default=None)
    if lease is not None and (held := _held(lease, facts.now)):
        return _State(True, "", (held,))
    deployments = operator_workloads(facts)
    links = () if lease is None else (_lease_link(lease),)
    for workload in deployments:
        at = f"Deployment {workload.namespace}/{workload.name}"
        if workload.replicas == 0:
            scale = f"kubectl scale deployment {workload.name} -n {workload.namespace} --replicas=1"
            remedy = Remedy("Scale it up", (scale,))
            return _State(False, f"{at} is scaled to 0", (*workload.trail, *links), remedy)
        troubles = [*refusals_of(workload, facts), *pod_findings(workload, facts)]
        if workload.available == 0 and troubles:
            first = troubles[0]
            return _State(False, first.sentence, (*first.evidence, *links), first.remedy)
        if workload.available == 0:
            why = f"{at} has no available replica"
            return _State(
                False, why, (*workload.trail, *links), Remedy("Look at it", _look(deployments))
            )
        if lease is None:
            return _State(True, "", workload.trail)
    if lease is not None:
        return _State(False, _why_ended(lease, facts.now), links, _start(deployments))
    if unread := facts.could_not_read("Operator"):
        return _State(
            None,
            f"whether the operator runs cannot be seen ({unread})",
            remedy=Remedy("Ask somebody who may read them whether the operator runs", _look(())),
        )
    where = " and ".join(facts.seen.operator_namespaces)
    why = f"there is neither a Lease {LEASE_PREFIX} nor a Deployment of it in {where}"
    return _State(False, why, (), _start(()), unseen=True)


def _held(lease: ReadOnlyJson, now: datetime) -> Evidence | None:
    """The link to a Lease that somebody holds and renews."""
    spec = lease.get("spec") or {}
    renewed = parse_time(spec.get("renewTime"))
    if not spec.get("holderIdentity") or renewed is None:
        return None
    if (now - renewed).total_seconds() > spec.get("leaseDurationSeconds", 15) + _LEASE_MARGIN_S:
        return None
    told = f"held by {spec['holderIdentity']}, renewed {age_text(renewed, now)} ago"
    return Evidence(_lease_name(lease), told, parse_time(spec.get("acquireTime")))


def _lease_link(lease: ReadOnlyJson) -> Evidence:
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity")
    told = f"held by {holder}, but no longer renewed" if holder else "released, held by nobody"
    return Evidence(_lease_name(lease), told, parse_time(spec.get("renewTime")))


def _why_ended(lease: ReadOnlyJson, now: datetime) -> str:
    spec = lease.get("spec") or {}
    ago = age_text(parse_time(spec.get("renewTime")), now)
    verb = "is not renewed" if spec.get("holderIdentity") else "was released and not taken again"
    return f"its {_lease_name(lease)} {verb}" + (f" for {ago}" if ago else "")


def _lease_name(lease: ReadOnlyJson) -> str:
    return f"Lease {lease['metadata']['namespace']}/{lease['metadata']['name']}"


def _start(deployments: Sequence[Workload]) -> Remedy:
    if deployments:
        name, namespace = deployments[0].name, deployments[0].namespace
        restart = f"kubectl rollout restart deployment {name} -n {namespace}"
        return Remedy("Look at it, and restart it", (*_look(deployments), restart))
    return Remedy(
        "Start the operator: as a pod, or here in the foreground", ("make deploy", "make run")
    )


def _look(deployments: Sequence[Workload]) -> tuple[str, ...]:
    name, namespace = next(((w.name, w.namespace) for w in deployments), _DEPLOYMENT)
    return (
        f"kubectl get deployment {name} -n {namespace}",
        f"kubectl logs deployment/{name} -n {namespace} --tail=50",
    )
