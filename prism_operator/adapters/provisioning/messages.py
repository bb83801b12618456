"""The messages of the wire, from the values that plans hold."""

from __future__ import annotations

from typing import Final

from prism_operator.adapters.provisioning import control_plane_pb2 as pb
from prism_operator.planning.provisioning import Provision, Revoke

_PRINCIPAL: Final = "prism-operator"
_GRACEFUL_TIMEOUT_S: Final = 5


def creation_of(request: Provision) -> pb.CreateNamespaceRequest:
    """What brings a namespace to a proxy, or up to date."""
    auth = None
    if request.auth is not None:
        auth = pb.AuthConfig(enabled=True, provider="oidc", options=dict(request.auth))
    config = pb.NamespaceConfig(
        backends={
            name: pb.BackendConfig(
                backend_type=backend.provider,
                connection_string=backend.url,
                credentials=dict(backend.credentials),
            )
            for name, backend in request.backends
        },
        patterns={
            name: pb.PatternConfig(pattern_name=pattern.pattern, settings=dict(pattern.settings))
            for name, pattern in request.patterns
        },
        auth=auth,
        metadata=dict(request.metadata),
    )
    return pb.CreateNamespaceRequest(
        namespace=request.namespace,
        requesting_proxy=request.proxy,
        config=config,
        principal=_PRINCIPAL,
    )


def revocation_of(request: Revoke) -> pb.NamespaceRevocation:
    """What takes a namespace off a proxy."""
    return pb.NamespaceRevocation(
        proxy_id=request.proxy,
        namespace=request.namespace,
        graceful_timeout_seconds=_GRACEFUL_TIMEOUT_S,
    )
