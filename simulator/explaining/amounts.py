"""Amounts as people write them, and pods that ask for more or less of a resource."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json
from simulator.autoscaling.replicas import Target
from simulator.scheduling.requests import amount

_MI: Final = 2**20
_GI: Final = 2**30


def unit(resource: str) -> int:
    """The least by which somebody would change a request."""
    return _MI if resource in ("memory", "ephemeral-storage") else 1


def shown(resource: str, value: int) -> str:
    """``250m``, ``4`` (cores), ``512Mi``, ``1.5Gi``."""
    if resource == "cpu":
        return f"{value // 1000}" if value % 1000 == 0 else f"{value}m"
    if unit(resource) == 1:
        return str(value)
    return f"{value / _GI:.4g}Gi" if abs(value) >= _GI else f"{value / _MI:.4g}Mi"


def measured(target: Target, value: int) -> str:
    """A value of an HPA's metric, in the unit that its target is written in."""
    if target.type == "Utilization":
        return f"{value} %"
    if target.source in ("Resource", "ContainerResource"):
        return shown(target.name, value if target.name == "cpu" else value // 1000)
    return thousandths(value)


def thousandths(value: int) -> str:
    """A metric's value that is kept in thousandths."""
    return f"{value / 1000:,.10g}"


def asking(pod: Json, resource: str, more: int) -> Json | None:
    """The pod when its containers request more of a resource, or less; the largest changes first.

    None when they do not request as much as they shall request less.
    """
    containers = [dict(container) for container in pod["spec"]["containers"]]
    left = more
    for container in sorted(containers, key=lambda c: -_requested(c, resource)):
        had = _requested(container, resource)
        now = max(0, had + left)
        left -= now - had
        resources = container.get("resources") or {}
        said = str(now) + ("m" if resource == "cpu" else "")
        requests = {**(resources.get("requests") or {}), resource: said}
        container["resources"] = {**resources, "requests": requests}
        if not left:
            return {**pod, "spec": {**pod["spec"], "containers": containers}}
    return None


def _requested(container: Json, resource: str) -> int:
    requests = (container.get("resources") or {}).get("requests") or {}
    return amount(resource, str(requests.get(resource, 0)))
