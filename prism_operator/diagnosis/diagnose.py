"""From facts to a verdict: the cause first."""

from __future__ import annotations

from typing import Final, Literal

from prism_operator.diagnosis.facts import Facts, Unread, condition_of
from prism_operator.diagnosis.findings import Diagnosis, Finding, Remedy
from prism_operator.diagnosis.rules import FALLBACKS, RULES, Rule
from prism_operator.diagnosis.rules.operator import is_unseen
from prism_operator.diagnosis.workloads import ready_link

# Without these the root of an unready workload cannot be seen.
_DECISIVE: Final = ("Deployment", "ReplicaSet", "Pod", "Event", "Node")
_GENERIC: Final = frozenset({"RolloutInProgress", "ProgressDeadlineExceeded", "NotCreatedYet"})


def diagnose(facts: Facts) -> Diagnosis:
    """Why the subject is not Ready, and what else is to be known about it."""
    meta = facts.subject["metadata"]
    ready = _ready(facts)
    findings: list[Finding] = []
    for rule in RULES:
        findings += _new(rule, facts, findings)
    blocking = [f for f in findings if f.blocks] if ready != "True" else []
    warnings = [f for f in findings if f not in blocking]
    unread = tuple(sorted(facts.seen.unread))
    if ready != "True" and (not blocking or blocking[0].reason in _GENERIC):
        decisive = tuple(u for u in unread if u.kind in _DECISIVE)
        if decisive:
            blocking.insert(0, _unknown(facts, decisive))
        elif not blocking:
            blocking = [_unexplained(facts)]
    return Diagnosis(
        kind=facts.subject["kind"],
        namespace=meta["namespace"],
        name=meta["name"],
        ready=ready,
        now=facts.now,
        cause=blocking[0] if blocking else None,
        others=tuple(blocking[1:]),
        warnings=tuple(warnings),
        unread=unread,
    )


def _new(rule: Rule, facts: Facts, before: list[Finding]) -> list[Finding]:
    """What a rule finds; a fallback only where nothing else explains it."""
    found = list(rule(facts))
    if rule not in FALLBACKS:
        return found
    explained = {f.about for f in before if f.blocks}
    return [
        f
        for f in found
        if not explained or ("" not in explained and f.about and f.about not in explained)
    ]


def _ready(facts: Facts) -> Literal["True", "False", "Unknown"]:
    if facts.subject["metadata"].get("deletionTimestamp") or is_unseen(facts.subject):
        return "False"
    status = (condition_of(facts.subject, "Ready") or {}).get("status")
    return "True" if status == "True" else "Unknown" if status == "Unknown" else "False"


def _unknown(facts: Facts, unread: tuple[Unread, ...]) -> Finding:
    what = "; ".join(str(u) for u in unread)
    namespace = facts.subject["metadata"]["namespace"]
    return Finding(
        "CannotTell",
        f"the cause is not known, because it cannot be read: {what}",
        (ready_link(facts.subject),),
        Remedy(
            "Ask again with the right to get and list them (the ClusterRole view; nodes apart)",
            (f"kubectl auth can-i --list -n {namespace}",),
        ),
    )


def _unexplained(facts: Facts) -> Finding:
    ready = condition_of(facts.subject, "Ready") or {}
    meta = facts.subject["metadata"]
    command = f"kubectl describe {facts.subject['kind'].lower()} {meta['name']}"
    return Finding(
        str(ready.get("reason") or "Unexplained"),
        f"{ready.get('reason', 'no reason')}: {ready.get('message', 'no message')}",
        (ready_link(facts.subject),),
        Remedy("Look at its conditions and Events", (f"{command} -n {meta['namespace']}",)),
    )
