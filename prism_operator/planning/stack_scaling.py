"""Who decides about the replicas of a stack's own components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from prism_operator.api.meta import DEPLOYMENT, Json, Ref
from prism_operator.api.stack import PrismStack
from prism_operator.planning.autoscaling.decision import Scaling, Target, decide, scalers_owned_by
from prism_operator.planning.conditions import Condition
from prism_operator.planning.labels import admin_labels, proxy_labels
from prism_operator.planning.memo import remembered
from prism_operator.planning.names import admin_name, proxy_name
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.placement import refused_placement
from prism_operator.planning.settings import Settings


def scale_stack(
    stack: PrismStack, obj: Json, settings: Settings, cluster: Snapshot
) -> dict[Ref, Scaling]:
    """The decisions about the stack's Deployments. The scaler of one that is refused stays."""
    privileged = settings.allow_privileged_placement
    return {
        target.deployment: Scaling(kept=scalers_owned_by(obj, cluster))
        if refused_placement(target.component, privileged=privileged)
        else decide(obj, target, cluster)
        for target in _targets(stack)
    }


@remembered(entries=256)
def _targets(stack: PrismStack) -> list[Target]:
    targets = [
        Target(
            Ref(DEPLOYMENT, stack.namespace, proxy_name(stack.name)),
            stack.spec.proxy,
            proxy_labels(stack.name),
            "spec.proxy",
        )
    ]
    admin = stack.spec.enabled_admin
    if admin is not None:
        ref = Ref(DEPLOYMENT, stack.namespace, admin_name(stack.name))
        targets.append(Target(ref, admin, admin_labels(stack.name), "spec.admin"))
    return targets


def conditions_in(scalings: Iterable[Scaling]) -> list[Condition]:
    """What the decisions say, each condition once."""
    merged: dict[str, Condition] = {}
    for condition in (c for scaling in scalings for c in scaling.conditions):
        known = merged.get(condition.type)
        merged[condition.type] = (
            condition
            if known is None
            else replace(known, message=f"{known.message}; {condition.message}")
        )
    return list(merged.values())
