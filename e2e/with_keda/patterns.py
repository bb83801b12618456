"""PrismPatterns of consumers that KEDA scales by one trigger."""

from __future__ import annotations

from typing import Any

from e2e.cluster import Json
from e2e.with_keda.story import POLL_S

MOST = 6


def a_consumer(
    name: str, autoscaling: Json | None, *, namespace: str | None = None, **spec: Any
) -> Json:
    """One that is scaled as it says, or with None is not; ``spec`` is what else there is."""
    scaling = {} if autoscaling is None else {"autoscaling": {"enabled": True, **autoscaling}}
    given = {"pattern": "consumer", "backend": "kafka", "image": "consumer:1", **scaling, **spec}
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": given,
    }


def by_keda(trigger: str, metadata: Json, *, secret: str | None = None, **scaling: Any) -> Json:
    """Scaled by one trigger, from none to ``MOST`` unless ``scaling`` says otherwise."""
    authentication = {} if secret is None else {"authenticationRef": {"name": secret}}
    return {
        "scaler": "keda",
        "minReplicas": 0,
        "maxReplicas": MOST,
        "pollingInterval": POLL_S,
        "triggers": [{"type": trigger, "metadata": metadata, **authentication}],
        **scaling,
    }


def a_secret(name: str, namespace: str, **words: str) -> Json:
    """A Secret of these keys."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": words,
    }
