"""What annotations ask of KEDA (``apis/keda/v1alpha1/scaledobject_types.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PAUSED: Final = "autoscaling.keda.sh/paused"
PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"
PAUSED_SCALE_IN: Final = "autoscaling.keda.sh/paused-scale-in"
PAUSED_SCALE_OUT: Final = "autoscaling.keda.sh/paused-scale-out"
FORCE_ACTIVATION: Final = "autoscaling.keda.sh/force-activation"
EXCLUDED_LABELS: Final = "scaledobject.keda.sh/hpa-excluded-labels"

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_bool(text: str) -> bool:
    """Go's ``strconv.ParseBool``. Raises ValueError for what is neither."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'expected true or false, not "{text}"')


def is_set(annotations: Mapping[str, str], name: str) -> bool:
    """Whether an annotation is there and does not say false: anything else counts as true."""
    return name in annotations and annotations[name] not in _FALSE


def is_paused(annotations: Mapping[str, str]) -> bool:
    """Whether scaling is paused altogether; paused-replicas does so with any value."""
    return PAUSED_REPLICAS in annotations or is_set(annotations, PAUSED)


def paused_replicas(annotations: Mapping[str, str]) -> int | None:
    """The number that paused-replicas asks for. Raises ValueError when it is no number."""
    text = annotations.get(PAUSED_REPLICAS)
    return None if text is None else int(text)
