"""How a pattern's pods reach the PrismBackend they refer to: environment, files and a verdict.

A URL with user information never stands in the environment as text, and a Secret is used only where
the pods can mount it: in their own namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prism_operator.api.backend import PrismBackend
from prism_operator.api.common import ConnectionSecretRef
from prism_operator.api.meta import PRISM_BACKEND, SECRET, Json, Ref
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.conditions import BACKEND_RESOLVED, Condition
from prism_operator.planning.memo import parsed, remembered
from prism_operator.planning.observed import Snapshot

TLS_DIRECTORY: Final = "/etc/prism-backend-tls"
_TLS_VOLUME: Final = "backend-tls"


@dataclass(frozen=True, slots=True)
class Connection:
    """What the pods get of a backend, and what is to be said about it.

    ``backend`` is the PrismBackend, None unless it is used; ``secret`` and ``secret_keys`` are the
    Secret in the pods' namespace and the keys they use, ``tls_secret`` is the one they mount.
    """

    condition: Condition
    backend: Json | None = None
    env: Sequence[Json] = ()
    volumes: Sequence[Json] = ()
    volume_mounts: Sequence[Json] = ()
    secret: Ref | None = None
    secret_keys: Sequence[str] = ()
    tls_secret: Ref | None = None


def resolve_connection(pattern: PrismPattern, cluster: Snapshot) -> Connection:
    """The connection to the backend that ``spec.backendConfig`` names, as the cluster has it."""
    ref = _backend_ref(pattern)
    backend = None if ref is None else cluster.get(ref)
    if ref is not None and backend is None and not cluster.can_read(PRISM_BACKEND):
        return Connection(
            Condition(BACKEND_RESOLVED, "Unknown", "NoPermission", f"{ref} cannot be read")
        )
    return connect(pattern, backend)


@remembered(entries=256)
def connect(pattern: PrismPattern, found: Json | None) -> Connection:
    """The connection of a pattern when ``found`` is the PrismBackend it refers to."""
    ref = _backend_ref(pattern)
    if ref is None:
        config = pattern.spec.backend_config
        inline = config is not None and bool(config.inline)
        reason = "Inline" if inline else "NoneReferenced"
        message = (
            "spec.backendConfig holds the settings itself"
            if inline
            else "spec.backendConfig names no PrismBackend"
        )
        return Connection(Condition(BACKEND_RESOLVED, "True", reason, message))
    if found is None:
        return _unresolved(
            "BackendNotFound", f"{ref} does not exist: create it, or correct spec.backendConfig"
        )
    try:
        backend = parsed(found, PrismBackend)
    except InvalidObject as error:
        return _unresolved("BackendInvalid", f"{ref} is not valid: {error}")
    return _connect(pattern, backend, found, ref)


def _backend_ref(pattern: PrismPattern) -> Ref | None:
    config = pattern.spec.backend_config
    if config is None or config.name is None:
        return None
    return Ref(PRISM_BACKEND, config.namespace or pattern.namespace, config.name)


def _connect(pattern: PrismPattern, backend: PrismBackend, found: Json, ref: Ref) -> Connection:
    is_foreign = backend.namespace != pattern.namespace
    if is_foreign and pattern.namespace not in backend.spec.allowed_namespaces:
        return _unresolved(
            "BackendNotAllowed",
            f"{ref} is not for namespace {pattern.namespace}: list it in spec.allowedNamespaces",
        )
    connection = backend.spec.connection
    resolved = Condition(BACKEND_RESOLVED, "True", "BackendFound", f"{ref} is used")
    env: list[Json] = []
    secret: Ref | None = None
    keys: tuple[str, ...] = ()
    if connection is not None and connection.secret_ref is not None:
        secret_ref = connection.secret_ref
        secret = Ref(SECRET, secret_ref.namespace or backend.namespace, secret_ref.name)
        if secret.namespace != pattern.namespace:
            return _unresolved(
                "SecretNotReachable",
                f"{ref} takes its connection from {secret}, which pods in namespace "
                f"{pattern.namespace} cannot use, and this version makes no copy of it",
            )
        env = _secret_env(secret_ref)
        keys = (secret_ref.keys.url, secret_ref.keys.username, secret_ref.keys.password)
    elif connection is not None and connection.url is not None:
        env = [{"name": "PRISM_BACKEND_URL", "value": connection.url}]
    volumes, mounts = _tls_files(backend, pattern.namespace)
    if backend.spec.tls is not None and backend.spec.tls.enabled:
        env.append({"name": "PRISM_BACKEND_TLS_ENABLED", "value": "true"})
        if mounts:
            env.append({"name": "PRISM_BACKEND_TLS_DIR", "value": TLS_DIRECTORY})
    tls_secret = None
    if mounts:
        tls_secret = Ref(SECRET, pattern.namespace, volumes[0]["secret"]["secretName"])
    return Connection(resolved, found, env, volumes, mounts, secret, keys, tls_secret)


def _secret_env(ref: ConnectionSecretRef) -> list[Json]:
    # Optional, so that pods run without what the Secret does not (yet) hold.
    return [
        {
            "name": f"PRISM_BACKEND_{variable}",
            "valueFrom": {"secretKeyRef": {"name": ref.name, "key": key, "optional": True}},
        }
        for variable, key in (
            ("URL", ref.keys.url),
            ("USERNAME", ref.keys.username),
            ("PASSWORD", ref.keys.password),
        )
    ]


def _tls_files(backend: PrismBackend, namespace: str) -> tuple[list[Json], list[Json]]:
    """The volume and mount of the TLS Secret, when there is one that the pods can mount."""
    tls = backend.spec.tls
    if tls is None or not tls.enabled or tls.secret_ref is None:
        return [], []
    if (tls.secret_ref.namespace or backend.namespace) != namespace:
        return [], []
    secret = {"secretName": tls.secret_ref.name, "optional": True}
    return (
        [{"name": _TLS_VOLUME, "secret": secret}],
        [{"name": _TLS_VOLUME, "mountPath": TLS_DIRECTORY, "readOnly": True}],
    )


def _unresolved(reason: str, message: str) -> Connection:
    told = f"{message}. The pods run without its connection settings."
    return Connection(Condition(BACKEND_RESOLVED, "False", reason, told))
