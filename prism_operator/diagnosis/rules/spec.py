"""What the operator itself says it cannot or will not do with the spec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prism_operator.api.meta import Json
from prism_operator.diagnosis.facts import Facts, condition_of, prism_objects, since_of, told_as
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.refusals import read_refusal
from prism_operator.diagnosis.workloads import edit_command, ready_link
from prism_operator.planning.conditions import (
    EVEN_ADMIN_REPLICAS,
    INVALID_SPEC,
    NAME_CONFLICT,
    PLACEMENT_INEFFECTIVE,
    PLACEMENT_REFUSED,
    PLACEMENT_UNSATISFIABLE,
    READY,
    RECONCILING,
    STALLED,
)
from prism_operator.planning.names import ADOPT_ANNOTATION

_FOREIGN: Final = re.compile(r"(\w+) ([\w.-]+)/([\w.-]+) exists and is not ours")
_WRITE: Final = re.compile(r"(cannot [\w ]+? \w+ [\w./-]+): ")


def find_invalid_spec(facts: Facts) -> Iterator[Finding]:
    """A spec makes no sense, so nothing of it is carried out."""
    for obj, condition in _with(facts, READY, "False"):
        if condition["reason"] == INVALID_SPEC:
            yield Finding(
                "InvalidSpec",
                f"{_possessive(facts, obj)} spec is not valid: {condition['message']}",
                _chain(facts, obj),
                Remedy("Correct the field", (edit_command(obj),)),
            )


def find_name_conflict(facts: Facts) -> Iterator[Finding]:
    """An object of a name we need belongs to somebody else."""
    for obj, condition in _with(facts, NAME_CONFLICT, "True"):
        namespace = obj["metadata"]["namespace"]
        found = _FOREIGN.search(condition["message"])
        commands: tuple[str, ...] = (edit_command(obj),)
        evidence = [*_chain(facts, obj)]
        if found:
            kind, where, name = found.groups()
            target = f"{kind.lower()} {name} -n {where or namespace}"
            commands = (
                f"kubectl get {target} --show-labels",
                f"kubectl annotate {target} {ADOPT_ANNOTATION}=true",
            )
            evidence.append(Evidence(f"{kind} {name}", "exists without our owner reference"))
        yield Finding(
            "NameConflict",
            f"a name it needs is taken: {condition['message']}",
            tuple(evidence),
            Remedy("Delete or rename the one, rename the other, or hand it over", commands),
        )


def find_refused_placement(facts: Facts) -> Iterator[Finding]:
    """A placement that only privileged users may ask for."""
    for obj, condition in _with(facts, PLACEMENT_REFUSED, "True"):
        yield Finding(
            "PlacementNotAllowed",
            f"a placement is not allowed: {condition['message']}",
            (*_chain(facts, obj), _link(obj, condition)),
            Remedy("Remove it", (edit_command(obj),)),
        )


def find_refused_writes(facts: Facts) -> Iterator[Finding]:
    """The API server refuses what the operator wants to write."""
    for kind in (STALLED, RECONCILING):
        for obj, condition in _with(facts, kind, "True"):
            message = condition.get("message", "")
            if (write := _WRITE.match(message)) is None:
                continue
            refusal = read_refusal(message, obj["metadata"]["namespace"], "spec")
            told = f"{write.group(1)}: {refusal.text}" if refusal else message
            yield Finding(
                refusal.reason if refusal else "WriteRefused",
                f"the operator {told}",
                (*_chain(facts, obj), _link(obj, condition)),
                refusal.remedy if refusal else Remedy("Correct the spec", (edit_command(obj),)),
            )


def find_remarks(facts: Facts) -> Iterator[Finding]:
    """What works otherwise than a reader of the spec would expect."""
    for kind in (PLACEMENT_UNSATISFIABLE, PLACEMENT_INEFFECTIVE, EVEN_ADMIN_REPLICAS):
        for obj, condition in _with(facts, kind, "True"):
            yield Finding(
                kind,
                condition["message"],
                (_link(obj, condition),),
                Remedy("Change it", (edit_command(obj),)),
                blocks=False,
            )


def _with(facts: Facts, type_: str, status: str) -> Iterator[tuple[Json, Json]]:
    for obj in prism_objects(facts):
        condition = condition_of(obj, type_)
        if condition is not None and condition["status"] == status:
            yield obj, condition


def _chain(facts: Facts, obj: Json) -> tuple[Evidence, ...]:
    if obj is facts.subject:
        return (ready_link(obj),)
    return (ready_link(facts.subject), ready_link(obj))


def _link(obj: Json, condition: Json) -> Evidence:
    told = f"{condition['type']} is {condition['status']} ({condition['reason']})"
    message = condition.get("message")
    return Evidence(
        f"{obj['kind']} {obj['metadata']['name']}",
        f"{told}: {message}" if message else told,
        since_of(condition),
    )


def _possessive(facts: Facts, obj: Json) -> str:
    return "its" if obj is facts.subject else f"{told_as(facts, obj)}'s"
