"""Selectors, tolerations and node affinity, written for the checkers alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prism_operator.api.meta import ReadOnlyJson


def matches_labels(selector: ReadOnlyJson, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    wanted = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        admits(wish, labels) for wish in selector.get("matchExpressions") or ()
    )


def admits(wish: ReadOnlyJson, labels: Mapping[str, str]) -> bool:
    """Whether one requirement of a selector, or of a node affinity, holds."""
    value, values = labels.get(wish["key"]), list(wish.get("values") or ())
    match wish["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            if value is None or not value.lstrip("-").isdigit():
                return False
            bound = int(values[0])
            return int(value) > bound if operator == "Gt" else int(value) < bound
        case _:
            return False


def chosen_by_affinity(pod: ReadOnlyJson, node: ReadOnlyJson) -> bool:
    """Whether the pod's nodeSelector and required node affinity allow the node."""
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(_holds(term, labels, fields) for term in required["nodeSelectorTerms"])


def _holds(term: ReadOnlyJson, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
    of_labels, of_fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not of_labels and not of_fields:
        return False
    return all(admits(w, labels) for w in of_labels) and all(admits(w, fields) for w in of_fields)


def untolerated(
    pod: ReadOnlyJson, node: ReadOnlyJson, effects: tuple[str, ...]
) -> Iterator[ReadOnlyJson]:
    """The node's taints of these effects that the pod does not tolerate."""
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in effects and not tolerates(pod, taint):
            yield taint


def tolerates(pod: ReadOnlyJson, taint: Mapping[str, Any]) -> bool:
    """Whether one of the pod's tolerations is for this taint."""
    return any(_tolerated(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())


def _tolerated(toleration: ReadOnlyJson, taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    if not toleration.get("key"):
        return False
    value: bool = (toleration.get("value") or "") == (taint.get("value") or "")
    return value
