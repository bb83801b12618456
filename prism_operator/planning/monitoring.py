"""How Prometheus finds a stack's metrics: a PodMonitor for every component.

Only with observability enabled, and where the Prometheus operator's CRDs are installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import POD_MONITOR, Json
from prism_operator.api.stack import AdminSpec, PrismStack, ProxySpec, StackPattern
from prism_operator.planning.children import finished
from prism_operator.planning.conditions import MONITORS_READY, Condition, Truth
from prism_operator.planning.labels import (
    Labels,
    admin_labels,
    admin_selector,
    pattern_labels,
    pattern_selector,
    proxy_labels,
    proxy_selector,
)
from prism_operator.planning.memo import parsed, remembered
from prism_operator.planning.names import admin_name, proxy_name
from prism_operator.planning.observability import observability_env
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.resources.pod_monitor import build_pod_monitor
from prism_operator.planning.resources.pod_template import (
    METRICS_PORT_NAME,
    PORT_NAME,
    merged_env,
    metrics_port_in,
)

_NOT_INSTALLED: Final = (
    "the Prometheus operator is not installed: metrics are served, and nobody is told to read them"
)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The PodMonitors of a stack, and what is to be said of them."""

    objects: tuple[Json, ...] = ()
    conditions: tuple[Condition, ...] = ()


def monitor_stack(stack: PrismStack, obj: Json, cluster: Snapshot) -> Monitoring:
    """The PodMonitors that the stack should have in this cluster."""
    if stack.spec.enabled_observability is None:
        return Monitoring()
    if not cluster.can_read(POD_MONITOR):
        told = "podmonitors cannot be read, so none is made: grant get, list and watch"
        return Monitoring(conditions=(_said("Unknown", "NoPermission", told),))
    if not cluster.serves(POD_MONITOR):
        said = _said("False", "PrometheusOperatorNotInstalled", _NOT_INSTALLED)
        return Monitoring(conditions=(said,))
    monitors = _monitors(obj)
    names = ", ".join(monitor["metadata"]["name"] for monitor in monitors)
    return Monitoring(monitors, (_said("True", "MonitorsInPlace", f"PodMonitors: {names}"),))


@remembered(entries=256)
def _monitors(obj: Json) -> tuple[Json, ...]:
    stack = parsed(obj, PrismStack)
    return tuple(finished(monitor, obj) for monitor in _built(stack))


def _built(stack: PrismStack) -> Iterator[Json]:
    namespace, name = stack.namespace, stack.name
    proxy, admin = proxy_name(name), admin_name(name)
    components: list[tuple[str, ProxySpec | AdminSpec | StackPattern, Labels, Labels]] = [
        (proxy, stack.spec.proxy, proxy_labels(name), proxy_selector(name))
    ]
    if stack.spec.enabled_admin is not None:
        components.append(
            (admin, stack.spec.enabled_admin, admin_labels(name), admin_selector(name))
        )
    components += [
        (
            pattern.name,
            pattern,
            pattern_labels(pattern.name, pattern.type, pattern.backend, name),
            pattern_selector(pattern.name),
        )
        for pattern in stack.spec.patterns
    ]
    for component_name, component, labels, selector in components:
        ours = observability_env(stack, component_name)
        port = metrics_port_in(merged_env(ours, component.env))
        if port is not None:
            port_name = PORT_NAME if port == component.port else METRICS_PORT_NAME
            yield build_pod_monitor(component_name, namespace, labels, selector, port_name)


def _said(truth: Truth, reason: str, message: str) -> Condition:
    return Condition(MONITORS_READY, truth, reason, message)
