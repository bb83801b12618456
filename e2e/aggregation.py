"""APIs that an API server passes on to another server on this machine."""

from __future__ import annotations

import json
from base64 import b64encode

from e2e.certificates import Authority
from e2e.cluster import Json, LocalCluster

NAMESPACE = "default"


def serving_name(service: str, namespace: str = NAMESPACE) -> str:
    """The name that the certificate of an aggregated server must have."""
    return f"{service}.{namespace}.svc"


def aggregate(
    cluster: LocalCluster,
    group_version: str,
    port: int,
    authority: Authority,
    *,
    service: str,
    namespace: str = NAMESPACE,
) -> None:
    """Passes requests for a group on to ``port`` of this machine; it answers when this returns.

    The server there shows a certificate of ``authority`` for its ``serving_name``, and is called
    by somebody whom ``LocalCluster.front_proxy_ca`` vouches for.
    """
    group, _, version = group_version.partition("/")
    name = f"{version}.{group}"
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service, "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": name},
            "spec": {
                "group": group,
                "version": version,
                "service": {"name": service, "namespace": namespace, "port": port},
                "caBundle": b64encode(authority.certificate).decode(),
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
    everything: Json = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(everything))
    cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{name}", "--timeout=60s")
