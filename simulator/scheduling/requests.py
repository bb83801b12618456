"""What pods request and nodes have, in integers: CPU in millicores, all else in whole units.

After component-helpers ``resource/helpers.go`` (``PodRequests``).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING
from functools import lru_cache
from typing import Final, TypeAlias

from prism_operator.api.meta import ReadOnlyJson
from prism_operator.api.quantities import parse_quantity

Amounts: TypeAlias = dict[str, int]

# For scores only: what a container counts that does not say what it needs.
UNSAID: Final[Mapping[str, int]] = {"cpu": 100, "memory": 200 * 2**20}


@lru_cache(maxsize=4096)
def amount(resource: str, quantity: str) -> int:
    """A quantity as an integer, rounded up."""
    scale = 1000 if resource == "cpu" else 1
    return int((parse_quantity(quantity) * scale).to_integral_value(ROUND_CEILING))


def amounts(quantities: Mapping[str, object] | None) -> Amounts:
    """A ResourceList as integers."""
    return {name: amount(name, str(text)) for name, text in (quantities or {}).items()}


def pod_requests(pod: ReadOnlyJson, unsaid: Mapping[str, int] | None = None) -> Amounts:
    """What a pod needs at the same time.

    That is its containers and sidecars together, or what one init container needs beside the
    sidecars before it. ``unsaid`` counts for containers that do not name a resource.
    """
    spec = pod["spec"]
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _container_requests(container, unsaid))
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        needed = _container_requests(container, unsaid)
        if container.get("restartPolicy") == "Always":
            _add(total, needed)
            _add(sidecars, needed)
            needed = sidecars
        else:
            _add(needed, sidecars)
        _raise(most, needed)
    _raise(total, most)
    _add(total, amounts(spec.get("overhead")))
    return total


def _container_requests(container: ReadOnlyJson, unsaid: Mapping[str, int] | None) -> Amounts:
    said = amounts((container.get("resources") or {}).get("requests"))
    return {**unsaid, **said} if unsaid else said


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise(total: Amounts, least: Mapping[str, int]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0), value)
