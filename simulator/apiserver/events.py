"""Events in their two shapes: events.k8s.io/v1 as written, core/v1 as stored and as kubectl reads.

From ``pkg/apis/events/v1/conversion.go``.
"""

from __future__ import annotations

from prism_operator.api.meta import Json

_RENAMED = {  # events.k8s.io/v1: core/v1
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_BACK = {core: new for new, core in _RENAMED.items()}


def core_event(event: Json) -> Json:
    """An events.k8s.io/v1 Event as the core/v1 Event that is stored."""
    out = {_RENAMED.get(key, key): value for key, value in event.items()}
    out.setdefault("reportingComponent", "")
    out.setdefault("reportingInstance", "")
    return {**out, "apiVersion": "v1", "kind": "Event"}


def new_event(event: Json) -> Json:
    """A stored core/v1 Event as an events.k8s.io/v1 Event."""
    out = {_BACK.get(key, key): value for key, value in event.items()}
    for name in ("reportingController", "reportingInstance"):
        if not out.get(name):
            out.pop(name, None)
    return {**out, "apiVersion": "events.k8s.io/v1", "kind": "Event"}
