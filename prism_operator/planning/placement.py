"""Where the pods of a component go: what the user says, and what the strategy adds to it."""

from __future__ import annotations

from typing import Final

from prism_operator.api.common import Component
from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.planning.labels import Labels
from prism_operator.planning.placement_strategies import Subject, apply_strategy, repels_itself

_SURGING: Final[Json] = {"maxSurge": "25%", "maxUnavailable": "25%"}
_IN_PLACE: Final[Json] = {"maxSurge": 0, "maxUnavailable": 1}


def pod_placement(component: Component, affinity: Json | None, subject: Subject) -> Json:
    """The fields of a pod spec that say where it runs; ``affinity`` is the user's."""
    placement = component.effective_placement
    fields: Json = {
        "nodeSelector": dict(placement.node_selector),
        "affinity": affinity,
        "tolerations": placement.tolerations,
        "topologySpreadConstraints": placement.topology_spread_constraints,
        "priorityClassName": placement.priority_class_name,
        "runtimeClassName": placement.runtime_class_name,
        "nodeName": placement.node_name,
    }
    given = {name: value for name, value in fields.items() if value}
    return apply_strategy(placement.strategy, given, subject)


def refused_placement(component: Component, *, privileged: bool) -> str | None:
    """Why the component must not be placed as it asks, or None when it may.

    A nodeName bypasses the scheduler and its taints, a ``system-*`` priority class evicts anything:
    whoever may create our objects need not be allowed either.
    """
    placement = component.effective_placement
    if privileged:
        return None
    if placement.node_name:
        asked = f'nodeName "{placement.node_name}"'
    elif (placement.priority_class_name or "").startswith("system-"):
        asked = f'priorityClassName "{placement.priority_class_name}"'
    else:
        return None
    return (
        f"{asked} is allowed only when the operator runs with --allow-privileged-placement: "
        "remove it or ask whoever runs the operator"
    )


def rollout_strategy(given: Json | None, affinity: ReadOnlyJson | None, pod_labels: Labels) -> Json:
    """The user's rollout strategy, or the one that the placement needs; complete in either case.

    Pods that repel each other from nodes cannot surge: with as many replicas as nodes the new pod
    would wait for a place that only the old one can give.
    """
    if given is not None and given.get("type") == "Recreate":
        return given
    surges = given is not None or not repels_itself(affinity, pod_labels)
    defaults = _SURGING if surges else _IN_PLACE
    # What the server would add is said, so that it is ours: a default that nobody owns would stay
    # beside a later Recreate, which the server then refuses.
    rolling = {**defaults, **((given or {}).get("rollingUpdate") or {})}
    return {"type": "RollingUpdate", "rollingUpdate": rolling}
