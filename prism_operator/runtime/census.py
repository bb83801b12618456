"""Counts what the operator looks after, when somebody asks: nothing is kept in step meanwhile.

What users and statuses may hold freely (a phase, a provider) is counted under a known name or as
``Unknown`` or ``other``, so that the number of time series has a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from prism_operator.api.backend import PROVIDERS
from prism_operator.api.meta import (
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    Json,
    Resource,
)
from prism_operator.planning.conditions import BAD_WHEN_TRUE, PROGRESSING
from prism_operator.planning.rollout import IN_PROGRESS
from prism_operator.planning.shards import shard_of
from prism_operator.ports import Census, ObjectCounts
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.reflector import Reflector

Key = TypeVar("Key")

UNKNOWN: Final = "Unknown"
OTHER: Final = "other"
WORKLOAD_PHASES: Final = ("Pending", "Running", "Degraded", "Failed", UNKNOWN)
NAMESPACE_PHASES: Final = (
    "Pending",
    "Active",
    "Degraded",
    "Expired",
    "Deleting",
    "Failed",
    UNKNOWN,
)
SCALERS: Final = ("none", "hpa", "keda")
HEALTHS: Final = ("healthy", "unhealthy", "unknown")


def take_census(cache: Cache, reflectors: Iterable[Reflector], *, shard: str | None) -> Census:
    """The counts as of now; of the objects in ``shard``, unless None."""
    found = cache.everything()
    restarts: Counter[tuple[str, str]] = Counter()
    silent_s: dict[str, float] = {}
    for reflector in reflectors:
        kind = reflector.resource.kind
        silent_s[kind] = max(silent_s.get(kind, 0.0), reflector.silent_s)
        for reason, times in tuple(reflector.restarts.items()):
            restarts[kind, reason] += times
    return Census(
        objects=None if shard is None else _count(found, shard),
        cached={resource.kind: len(objects) for resource, objects in found.items()},
        watch_restarts=restarts,
        silent_s=silent_s,
    )


def _count(everything: Mapping[Resource, Sequence[Json]], shard: str) -> ObjectCounts:
    found = {
        resource: [o for o in everything.get(resource, ()) if shard_of(o) == shard]
        for resource in PRISM_RESOURCES
    }
    stacks = Counter(_phase(o, WORKLOAD_PHASES) for o in found[PRISM_STACK])
    patterns = Counter((_scaler(o), _phase(o, WORKLOAD_PHASES)) for o in found[PRISM_PATTERN])
    backends = Counter((_provider(o), _health(o)) for o in found[PRISM_BACKEND])
    namespaces = Counter(_phase(o, NAMESPACE_PHASES) for o in found[PRISM_NAMESPACE])
    rollouts: Counter[str] = Counter()
    conditions: Counter[tuple[str, str]] = Counter()
    for resource in PRISM_RESOURCES:
        for obj in found[resource]:
            for condition in (obj.get("status") or {}).get("conditions") or ():
                if condition["status"] != "True":
                    continue
                if condition["type"] in BAD_WHEN_TRUE:
                    conditions[resource.kind, condition["type"]] += 1
                elif condition["type"] == PROGRESSING and condition["reason"] == IN_PROGRESS:
                    rollouts[resource.kind] += 1
    kinds = [resource.kind for resource in PRISM_RESOURCES]
    # What is none today is said to be none: an alert cannot wait for a series to appear.
    return ObjectCounts(
        stacks=_with_zeros(stacks, WORKLOAD_PHASES),
        patterns=_with_zeros(patterns, [(s, p) for s in SCALERS for p in WORKLOAD_PHASES]),
        backends=_with_zeros(backends, [(p, h) for p, _ in backends for h in HEALTHS]),
        namespaces=_with_zeros(namespaces, NAMESPACE_PHASES),
        rollouts=_with_zeros(rollouts, (PRISM_STACK.kind, PRISM_PATTERN.kind)),
        conditions=_with_zeros(conditions, [(k, c) for k in kinds for c in BAD_WHEN_TRUE]),
    )


def _with_zeros(counts: Counter[Key], keys: Iterable[Key]) -> dict[Key, int]:
    return dict.fromkeys(keys, 0) | counts


def _phase(obj: Json, known: Sequence[str]) -> str:
    phase = str((obj.get("status") or {}).get("phase"))
    return phase if phase in known else UNKNOWN


def _scaler(pattern: Json) -> str:
    scaling = (pattern.get("spec") or {}).get("autoscaling") or {}
    if not scaling or not scaling.get("enabled", True):
        return "none"
    if scaler := scaling.get("scaler"):
        return str(scaler) if scaler in SCALERS else "none"
    targets = ("targetCPUUtilizationPercentage", "targetMemoryUtilizationPercentage", "metrics")
    only_triggers = scaling.get("triggers") and not any(scaling.get(key) for key in targets)
    return "keda" if only_triggers else "hpa"


def _provider(backend: Json) -> str:
    provider = str((backend.get("spec") or {}).get("provider"))
    return provider if provider in PROVIDERS else OTHER


def _health(backend: Json) -> str:
    healthy = (backend.get("status") or {}).get("healthy")
    return "unknown" if healthy is None else "healthy" if healthy else "unhealthy"
