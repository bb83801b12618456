"""Whether a Deployment's number of replicas is ours, and which scaler there should be next.

A change of scaler takes several plans, each made from what there is by then: the old one is
deleted, and only when it is gone is the new one made. In between nobody touches the number, so
that it never falls below the lower of what was and what will be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.common import Component
from prism_operator.api.meta import (
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    Json,
    Ref,
    Resource,
    ref_of,
    resource_of,
    uid_of,
)
from prism_operator.planning.autoscaling.authentication import resolve_authentication
from prism_operator.planning.autoscaling.scalers import Scalers, scaler_ref, scalers_of
from prism_operator.planning.autoscaling.triggers import problems_of
from prism_operator.planning.children import Yielded, finished, own
from prism_operator.planning.conditions import (
    FOREIGN_SCALER,
    SCALER_READY,
    TRIGGER_INVALID,
    Condition,
)
from prism_operator.planning.memo import remembered
from prism_operator.planning.names import ADOPT_ANNOTATION
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.resources.hpa import build_hpa
from prism_operator.planning.resources.scaled_object import build_scaled_object

SCALER_KINDS: Final = frozenset({HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT, TRIGGER_AUTHENTICATION})
_RESOURCES: Final[dict[str, Resource]] = {
    "hpa": HORIZONTAL_POD_AUTOSCALER,
    "keda": SCALED_OBJECT,
}
# What a scaler says of itself that means it does not scale now.
_WORKING: Final = ("AbleToScale", "ScalingActive", "Ready")


@dataclass(frozen=True, slots=True)
class Target:
    """A component's Deployment; ``path`` is where the component stands in its owner's spec."""

    deployment: Ref
    component: Component
    labels: Json
    path: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """The decision.

    ``yielded`` is None while the number of replicas is ours. ``objects``, which are ``finished``,
    are to exist, ``kept`` are to stay as they are, and every other scaler of ours is to go.
    """

    yielded: Yielded | None = None
    objects: tuple[Json, ...] = ()
    kept: frozenset[Ref] = frozenset()
    conditions: tuple[Condition, ...] = ()
    degraded_by: tuple[Condition, ...] = ()


def decide(owner: Json, target: Target, cluster: Snapshot) -> Scaling:
    """What to do about the replicas and the scaler of one component of ``owner``, seen now."""
    section = target.component.effective_autoscaling
    resource = _RESOURCES[section.effective_scaler] if section is not None else None
    wanted = scaler_ref(resource, target.deployment) if resource is not None else None
    scalers = scalers_of(owner, target.deployment, wanted, cluster)
    old = [*scalers.leftovers, *(s for s in scalers.ours if ref_of(s) != wanted)]
    yielded = Yielded(_initial(target.component, scalers))

    if scalers.foreign:
        return _yield_to(scalers.foreign, yielded, target, section)
    if section is None or wanted is None:
        return Scaling(yielded, conditions=(_waiting(old),)) if old else Scaling()

    blocked, objects = _build(owner, target, section, wanted.resource, cluster)
    if blocked:
        # Nothing that runs is torn down for what cannot be made.
        at_least = 0 if scalers.ours or old else max(1, section.min_replicas)
        return Scaling(
            Yielded(yielded.initial, at_least),
            kept=scalers_owned_by(owner, cluster),
            conditions=blocked,
            degraded_by=(blocked[0],),
        )
    if old:
        return Scaling(yielded, conditions=(_waiting(old),))
    live = own(cluster.get(wanted), owner)
    at_zero = _replicas(cluster.get(target.deployment)) == 0
    if at_zero and live is None and wanted.resource == HORIZONTAL_POD_AUTOSCALER:
        # At 0 it would do nothing, for good.
        least = max(1, section.min_replicas)
        waiting = _not_ready("WaitingForReplicas", f"is made when there are {least} replicas")
        return Scaling(Yielded(yielded.initial, least), conditions=(waiting,))
    return Scaling(yielded, objects, conditions=(_judge(wanted, live, section),))


def scalers_owned_by(owner: Json, cluster: Snapshot) -> frozenset[Ref]:
    """The scalers that ``owner`` has, and what belongs to them."""
    owned = cluster.owned_by(uid_of(owner))
    return frozenset(ref_of(o) for o in owned if resource_of(o) in SCALER_KINDS)


def _initial(component: Component, scalers: Scalers) -> int:
    """The number to create the Deployment with: what its scaler last wanted, within the bounds."""
    section = component.effective_autoscaling
    if not scalers.last_number:
        return component.initial_replicas
    if section is None:
        return scalers.last_number
    return max(section.min_replicas, min(scalers.last_number, section.max_replicas or 1))


def _build(
    owner: Json,
    target: Target,
    section: Autoscaling,
    resource: Resource,
    cluster: Snapshot,
) -> tuple[tuple[Condition, ...], tuple[Json, ...]]:
    """The scaler's objects; or, first, the conditions that say why there can be none."""
    if not cluster.can_read(resource):
        told = f"{resource.plural} cannot be read, so none is made: grant get, list and watch"
        return (Condition(SCALER_READY, "Unknown", "NoPermission", told),), ()
    if resource == HORIZONTAL_POD_AUTOSCALER:
        return (), (_hpa(owner, target, section),)
    if not cluster.serves(resource):
        told = "KEDA is not installed: without it the number of replicas stays as it is"
        return (_not_ready("KedaNotInstalled", told),), ()
    if problems := problems_of(section, f"{target.path}.autoscaling"):
        told = "; ".join(problems)
        invalid = Condition(TRIGGER_INVALID, "True", TRIGGER_INVALID, told)
        return (_not_ready(TRIGGER_INVALID, told), invalid), ()
    name, labels = target.deployment.name, target.labels
    found = resolve_authentication(owner, name, labels, section, cluster)
    if found.unresolved:
        told = f"authenticationRef: {'; '.join(found.unresolved)}"
        return (_not_ready("AuthenticationNotFound", told),), ()
    scaled = build_scaled_object(name, target.deployment.namespace, labels, section, found.names)
    return (), tuple(finished(obj, owner) for obj in (*found.made, scaled))


@remembered(entries=128)
def _hpa(owner: Json, target: Target, section: Autoscaling) -> Json:
    name, namespace = target.deployment.name, target.deployment.namespace
    return finished(build_hpa(name, namespace, target.labels, section), owner)


def _yield_to(
    foreign: Iterable[Json], yielded: Yielded, target: Target, section: Autoscaling | None
) -> Scaling:
    names = ", ".join(f"{s['kind']} {s['metadata']['name']}" for s in foreign)
    told = (
        f"{names} scales {target.deployment} and is not ours, so the number of replicas is left "
        f"to it and no scaler is made: delete it, or hand it over with the annotation "
        f'{ADOPT_ANNOTATION}: "true" under the name {target.deployment.name}'
    )
    condition = Condition(FOREIGN_SCALER, "True", FOREIGN_SCALER, told)
    if section is None:
        return Scaling(yielded, conditions=(condition,))
    not_ready = _not_ready(FOREIGN_SCALER, told)
    return Scaling(yielded, conditions=(condition, not_ready), degraded_by=(not_ready,))


def _waiting(old: Iterable[Json]) -> Condition:
    names = ", ".join(f"{scaler['kind']} {scaler['metadata']['name']}" for scaler in old)
    finalizers = sorted(f for scaler in old for f in scaler["metadata"].get("finalizers") or ())
    held = f", held by {', '.join(finalizers)}" if finalizers else ""
    return _not_ready("WaitingForOldScaler", f"{names} is not gone yet{held}")


def _judge(wanted: Ref, live: Json | None, section: Autoscaling) -> Condition:
    """What the scaler says of itself; until it says something, that it is there is enough."""
    for condition in ((live or {}).get("status") or {}).get("conditions") or ():
        if condition["type"] in _WORKING and condition["status"] == "False":
            reason = condition.get("reason") or "ScalerNotReady"
            return _not_ready(reason, f"{wanted}: {condition.get('message', '')}")
    bounds = f"{section.min_replicas} to {section.max_replicas} replicas"
    return Condition(SCALER_READY, "True", "ScalerInPlace", f"{wanted.resource.kind}: {bounds}")


def _replicas(deployment: Json | None) -> int | None:
    spec = (deployment or {}).get("spec")
    return None if spec is None else spec.get("replicas", 1)


def _not_ready(reason: str, message: str) -> Condition:
    return Condition(SCALER_READY, "False", reason, message)
