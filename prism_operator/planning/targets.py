"""Which Deployment a scaler scales."""

from __future__ import annotations

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    ReadOnlyJson,
    Ref,
)

_SCALERS = frozenset(
    (resource.api_version, resource.kind) for resource in (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
)


def scale_target_of(obj: ReadOnlyJson) -> Ref | None:
    """The Deployment that a HorizontalPodAutoscaler or ScaledObject scales; None for all else."""
    if (obj["apiVersion"], obj["kind"]) not in _SCALERS:
        return None
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    # KEDA's defaults; a HorizontalPodAutoscaler always has both.
    version = target.get("apiVersion") or DEPLOYMENT.api_version
    kind = target.get("kind") or DEPLOYMENT.kind
    if not target.get("name") or kind != DEPLOYMENT.kind:
        return None
    if version.partition("/")[0] != DEPLOYMENT.group:
        return None
    return Ref(DEPLOYMENT, obj["metadata"].get("namespace", ""), target["name"])
