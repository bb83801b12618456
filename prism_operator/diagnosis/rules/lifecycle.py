"""Objects that are on their way out, or that somebody holds still."""

from __future__ import annotations

from collections.abc import Iterator

from prism_operator.diagnosis.ages import parse_time
from prism_operator.diagnosis.facts import (
    Facts,
    condition_of,
    is_condition,
    named,
    prism_objects,
    since_of,
    told_as,
)
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.workloads import ready_link
from prism_operator.planning.conditions import PAUSED
from prism_operator.planning.names import PAUSED_ANNOTATION, is_paused


def find_deletion(facts: Facts) -> Iterator[Finding]:
    """The subject is being deleted."""
    meta = facts.subject["metadata"]
    since = parse_time(meta.get("deletionTimestamp"))
    if since is None:
        return
    held = ", ".join(meta.get("finalizers") or ())
    name = named(facts.subject["kind"], facts.subject)
    what = f"deletionTimestamp is set; finalizers: {held or 'none'}"
    yield Finding(
        "BeingDeleted",
        f"it is being deleted, held by the finalizers {held}" if held else "it is being deleted",
        (Evidence(name, what, since),),
        Remedy(
            "Wait until whoever set the finalizers is done; is that controller running?",
            (f"kubectl wait --for=delete {_target(facts)} --timeout=60s",),
        ),
    )


def find_pause(facts: Facts) -> Iterator[Finding]:
    """The annotation ``prism.io/paused`` holds writes back."""
    for obj in prism_objects(facts):
        paused = condition_of(obj, PAUSED)
        by_annotation = is_paused(obj)
        if not by_annotation and not is_condition(obj, PAUSED, "True"):
            continue
        is_cause = (condition_of(obj, "Ready") or {}).get("reason") == PAUSED
        if obj is not facts.subject and not is_cause:
            continue
        told = (paused or {}).get("message") or f"annotation {PAUSED_ANNOTATION} on this object"
        where = obj if by_annotation else facts.subject
        name, namespace = where["metadata"]["name"], where["metadata"]["namespace"]
        kind = where["kind"].lower()
        links = [ready_link(facts.subject)] if obj is not facts.subject else []
        yield Finding(
            "Paused",
            f"{told_as(facts, obj)} is paused: {told}",
            (*links, Evidence(named(obj["kind"], obj), f"Paused: {told}", since_of(paused))),
            Remedy(
                "Let the operator write again",
                (f"kubectl annotate {kind} {name} {PAUSED_ANNOTATION}- -n {namespace}",),
            ),
            blocks=is_cause,
        )


def _target(facts: Facts) -> str:
    meta = facts.subject["metadata"]
    return f"{facts.subject['kind'].lower()}/{meta['name']} -n {meta['namespace']}"
