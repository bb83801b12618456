"""Pods that the API server refuses to create."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from prism_operator.diagnosis.facts import (
    Facts,
    condition_of,
    event_count,
    event_time,
    named,
    since_of,
)
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.refusals import read_refusal
from prism_operator.diagnosis.workloads import Workload, workloads

# Older Events may tell of what was mended since.
_RECENT_S: Final = 900.0
_PREFIX: Final = re.compile(r'^(?:Error creating: )?(?:pods "[^"]*" is forbidden: )?')


def find_refused_pods(facts: Facts) -> Iterator[Finding]:
    """Pods are missing because quota, policy or a webhook refuses them."""
    for workload in workloads(facts):
        yield from refusals_of(workload, facts)


def refusals_of(workload: Workload, facts: Facts) -> Iterator[Finding]:
    """Why pods of one Deployment are not even created."""
    missing = workload.replicas - len(workload.pods)
    found = _refusal(workload, facts)
    if found is None:
        return
    message, link = found
    refusal = read_refusal(message, workload.namespace, workload.path)
    count = f"{missing} of {workload.replicas} pods" if missing > 0 else "pods"
    text = refusal.text if refusal else _PREFIX.sub("", message)
    yield Finding(
        refusal.reason if refusal else "PodsRefused",
        f"{count} of Deployment {workload.name} cannot be created: {text}",
        (*workload.trail, link),
        refusal.remedy if refusal else Remedy("Correct what the message names", (workload.edit,)),
        about=workload.name,
    )


def _refusal(workload: Workload, facts: Facts) -> tuple[str, Evidence] | None:
    for obj in (workload.newest, workload.deployment):
        condition = condition_of(obj, "ReplicaFailure")
        if obj is not None and condition is not None and condition["status"] == "True":
            what = f"ReplicaFailure is True ({condition.get('reason', '')}): {condition['message']}"
            link = Evidence(named(obj["kind"], obj), what, since_of(condition))
            return str(condition["message"]), link
    newest = workload.newest
    if newest is None or (newest.get("status") or {}).get("replicas", 0) >= workload.replicas:
        return None
    for event in facts.events_about(newest):
        if event.get("reason") == "FailedCreate" and _is_recent(event_time(event), facts.now):
            times = event_count(event)
            what = f"FailedCreate, {times} times: {event['message']}"
            return str(event["message"]), Evidence(
                named("ReplicaSet", newest), what, event_time(event)
            )
    return None


def _is_recent(when: datetime | None, now: datetime) -> bool:
    return when is not None and (now - when).total_seconds() < _RECENT_S
