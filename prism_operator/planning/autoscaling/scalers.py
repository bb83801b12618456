"""Who scales a Deployment now: scalers of ours, of somebody else, and what KEDA leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from prism_operator.api.meta import (
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.planning.children import own
from prism_operator.planning.names import ADOPT_ANNOTATION
from prism_operator.planning.observed import Snapshot


@dataclass(frozen=True, slots=True)
class Scalers:
    """The scalers of one Deployment.

    ``leftovers`` are HorizontalPodAutoscalers of a ScaledObject that is gone: the garbage collector
    comes for them. ``last_number`` is what a HorizontalPodAutoscaler last wanted, 0 if none did.
    """

    ours: tuple[Json, ...] = ()
    foreign: tuple[Json, ...] = ()
    leftovers: tuple[Json, ...] = ()
    last_number: int = 0


def scalers_of(owner: Json, deployment: Ref, wanted: Ref | None, cluster: Snapshot) -> Scalers:
    """The scalers of ``deployment``; what is offered for adoption as ``wanted`` counts as ours."""
    found = cluster.scalers_of(deployment)
    if not found:
        return Scalers()
    ours, foreign, leftovers = [], [], []
    for scaler in found:
        made_for = _scaled_object_behind(scaler)
        if made_for is not None:
            # It comes and goes with its ScaledObject, which is what counts.
            if cluster.get(made_for) is None:
                leftovers.append(scaler)
        elif own(scaler, owner) is not None or _is_offered(scaler, wanted):
            ours.append(scaler)
        else:
            foreign.append(scaler)
    numbers = [(scaler.get("status") or {}).get("desiredReplicas") or 0 for scaler in found]
    return Scalers(tuple(ours), tuple(foreign), tuple(leftovers), max(numbers))


def scaler_ref(resource: Resource, deployment: Ref) -> Ref:
    """A scaler of ours has the name of what it scales."""
    return Ref(resource, deployment.namespace, deployment.name)


def _scaled_object_behind(scaler: Json) -> Ref | None:
    if scaler["kind"] != HORIZONTAL_POD_AUTOSCALER.kind:
        return None
    for reference in scaler["metadata"].get("ownerReferences") or ():
        if reference.get("controller") and reference["kind"] == SCALED_OBJECT.kind:
            return Ref(SCALED_OBJECT, scaler["metadata"]["namespace"], reference["name"])
    return None


def _is_offered(scaler: Json, wanted: Ref | None) -> bool:
    metadata = scaler["metadata"]
    return (
        ref_of(scaler) == wanted
        and (metadata.get("annotations") or {}).get(ADOPT_ANNOTATION) == "true"
        and not any(o.get("controller") for o in metadata.get("ownerReferences") or ())
    )
