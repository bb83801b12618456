"""From a user's edit to the operator's last write about it, with many patterns present.

Times are the API server's own, from its audit log: from when it received the edit to when it had
answered the operator's status write, which follows all other writes of the pass, since it tells the
new generation. What the rollout brings later is not ours to hasten, and does not count.

Every pattern is edited once, so that no edit meets the rollout of another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import cycle

from benchmarks.operator_bench import Api
from e2e.cluster import Json, LocalCluster

PAUSE_S = 0.25
_ANSWER_TIMEOUT_S = 30.0

# A spec that users change this way, and what is written for it. Odd patterns have an autoscaler.
EDITS: dict[str, Json] = {
    "image": {"image": "ghcr.io/prism/keyvalue-runner:v2"},  # Deployment
    "service port": {"service": {"port": 8081}},  # Service
    "environment": {"env": [{"name": "LOG_LEVEL", "value": "debug"}]},  # Deployment
    "max replicas": {"autoscaling": {"enabled": True, "maxReplicas": 5}},  # HPA
    "configuration": {"config": {"batch": 100}},  # ConfigMap, Deployment
    "resources": {"resources": {"requests": {"cpu": "200m"}}},  # Deployment
}
_NEEDS_HPA = "max replicas"


def measure_edits(
    cluster: LocalCluster, namespace: str, names: Sequence[str], operator_user: str, edits: int
) -> Json:
    """Edits as many of the patterns, one after the other; the latencies in milliseconds."""
    api = Api(cluster.kubeconfig)
    session = api.session()
    plain, scaled = iter(names[0::2]), iter(names[1::2])
    kinds = cycle(EDITS)
    edited: dict[str, str] = {}
    for _ in range(edits):
        kind = next(kinds)
        name = next(scaled if kind == _NEEDS_HPA else plain, None)
        if name is None:
            continue
        answer = session.patch(
            api.url("prism.io/v1alpha1/prismpatterns", namespace, name),
            json={"spec": EDITS[kind]},
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=30,
        )
        answer.raise_for_status()
        edited[name] = kind
        time.sleep(PAUSE_S)
    deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
    while True:
        took = latencies(cluster.audit_events(), edited, operator_user)
        if len(took) == len(edited) or time.monotonic() > deadline_s:
            break
        time.sleep(1.0)
    by_kind = {kind: [ms for name, ms in took.items() if edited[name] == kind] for kind in EDITS}
    return {
        "edits": len(edited),
        "unanswered": len(edited) - len(took),
        "p50_ms": _quantile(took.values(), 0.5),
        "p99_ms": _quantile(took.values(), 0.99),
        "max_ms": _quantile(took.values(), 1.0),
        "p50_ms_by_kind": {kind: _quantile(found, 0.5) for kind, found in by_kind.items()},
    }


def latencies(events: Sequence[Json], edited: dict[str, str], user: str) -> dict[str, float]:
    """Milliseconds by name: from an edit to the operator's first status write after it."""
    received: dict[str, datetime] = {}
    took: dict[str, float] = {}
    for event in sorted(events, key=lambda e: str(e["requestReceivedTimestamp"])):
        reference = event.get("objectRef") or {}
        name, what = reference.get("name"), reference.get("resource")
        if what != "prismpatterns" or name not in edited or event["verb"] != "patch":
            continue
        is_status = reference.get("subresource") == "status"
        if event["user"]["username"] != user and not is_status:
            received[name] = _time(event["requestReceivedTimestamp"])
        elif is_status and name in received and name not in took:
            answered = _time(event["stageTimestamp"])
            took[name] = (answered - received[name]).total_seconds() * 1000
    return took


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _quantile(values: Iterable[float], q: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 1) if ordered else None
