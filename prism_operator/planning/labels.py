"""Labels and selectors of everything the operator makes.

Selectors hold only labels that never change for the object's name: a Deployment's is immutable.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from prism_operator.api.meta import Json

Labels: TypeAlias = dict[str, str]

STACK_LABEL: Final = "stack"
_PROXY: Final = "prism-proxy"
_ADMIN: Final = "prism-admin"


def stack_labels(stack: str) -> Labels:
    """Of what belongs to a stack as a whole, its child custom resources among it."""
    return {STACK_LABEL: stack, **_recommended("prism", stack, "stack")}


def proxy_labels(stack: str) -> Labels:
    """Of a stack's proxy: its Deployment, Service and pods."""
    return _component_labels(stack, _PROXY, "proxy")


def admin_labels(stack: str) -> Labels:
    """Of a stack's admin: its Deployment, Service, pods and access rights."""
    return _component_labels(stack, _ADMIN, "admin")


def pattern_labels(name: str, pattern: str, backend: str, stack: str | None) -> Labels:
    """Of a pattern's objects and pods; ``stack`` is the one that made it, if one did."""
    labels = {"app": "prism", "pattern": pattern, "runner": name}
    if backend:
        labels["backend"] = backend
    if stack:
        labels[STACK_LABEL] = stack
    return {**labels, **_recommended(f"{pattern}-runner", name, "runner")}


def proxy_selector(stack: str) -> Labels:
    """Selects the proxy's pods of one stack."""
    return {"component": _PROXY, STACK_LABEL: stack}


def admins_of(stack: str | None) -> Json:
    """A selector of the admins of one stack, or of all in the namespace."""
    return {"matchLabels": admin_selector(stack) if stack else {"component": _ADMIN}}


def admin_selector(stack: str) -> Labels:
    """Selects the admin's pods of one stack."""
    return {"component": _ADMIN, STACK_LABEL: stack}


def pattern_selector(name: str) -> Labels:
    """Selects the pods of one pattern."""
    return {"app": "prism", "runner": name}


def data_plane_of(stack: str) -> Json:
    """A selector of the proxies and runners of one stack."""
    expression = {"key": "app", "operator": "In", "values": ["prism", _PROXY]}
    return {"matchLabels": {STACK_LABEL: stack}, "matchExpressions": [expression]}


def selector_text(selector: Labels) -> str:
    """The selector as ``status.selector`` of a scale subresource writes it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def _component_labels(stack: str, component: str, short: str) -> Labels:
    return {
        "app": component,
        "component": component,
        STACK_LABEL: stack,
        **_recommended(component, stack, short),
    }


def _recommended(name: str, instance: str, component: str) -> Labels:
    # The version label is missing on purpose: images roll pods, a label must not.
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "prism",
        "app.kubernetes.io/managed-by": "prism-operator",
    }
