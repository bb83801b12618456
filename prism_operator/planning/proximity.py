"""Where the pods of a backend are, read off the host names under which it is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prism_operator.api.backend import PrismBackend
from prism_operator.api.meta import Json
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.stack import PrismStack
from prism_operator.planning.memo import parsed
from prism_operator.planning.placement_strategies import BackendPods

# Settings that hold an address, by the ends of their names: natsUrl, bootstrapServers, host, …
_ADDRESSES: Final = ("url", "urls", "servers", "host", "hosts", "address", "addresses", "endpoint")
_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?(?P<host>[a-z0-9.-]+)", re.I)


def backends_near_stack(stack: PrismStack) -> tuple[BackendPods, ...]:
    """The backends of a stack that run in this cluster, as far as their URLs tell."""
    found = set()
    for backend in stack.spec.backends:
        if backend.connection_string is not None:
            namespace = namespace_of(backend.connection_string, stack.namespace)
        elif backend.secret_ref is not None:  # the URL is in a Secret
            namespace = stack.namespace
        else:  # memstore, which is no pod of its own
            namespace = None
        if namespace is not None:
            found.add(BackendPods(backend.name, namespace))
    return tuple(sorted(found))


def backend_near_pattern(pattern: PrismPattern, backend: Json | None) -> tuple[BackendPods, ...]:
    """The backend of a pattern, unless its addresses say that it is outside of the cluster.

    ``backend`` is the PrismBackend that is used, if one is.
    """
    spec = pattern.spec
    if spec.backend == "memstore":
        return ()
    known: str | None = pattern.namespace
    if backend is not None:
        used = parsed(backend, PrismBackend)
        connection = used.spec.connection
        known = used.namespace
        addresses = [connection.url] if connection is not None and connection.url else []
    else:
        inline = spec.backend_config.inline if spec.backend_config is not None else {}
        addresses = [*_addresses(inline), *_addresses(spec.config or {})]
    if addresses:
        found = [namespace_of(address, pattern.namespace) for address in addresses]
        known = next((namespace for namespace in found if namespace is not None), None)
    return () if known is None else (BackendPods(spec.backend, known),)


def namespace_of(address: str, own: str) -> str | None:
    """The namespace of the Service that a URL or host list names first, as pods resolve names.

    None for what is no Service: an IP address, a host with a domain. ``own`` is the pods' own.
    """
    match = _HOST.match(address.strip())
    labels = match["host"].lower().rstrip(".").split(".") if match else []
    if not labels or labels == ["localhost"] or labels[-1].isdigit():
        return None
    if "svc" in labels[2:]:
        return labels[labels.index("svc", 2) - 1]
    if len(labels) == 1:
        return own
    return labels[1] if len(labels) == 2 else None


def _addresses(settings: Json) -> Iterator[str]:
    for key, value in sorted(settings.items()):
        if isinstance(value, dict):
            yield from _addresses(value)
        elif key.lower().endswith(_ADDRESSES):
            values = value if isinstance(value, list) else [value]
            yield from (text for text in values if isinstance(text, str) and text)
