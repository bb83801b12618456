"""What a proxy is told of a namespace: patterns and their backends, quotas, tags and users.

Credentials of backends are part of it only where the admin is spoken to over TLS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prism_operator.api.backend import PrismBackend
from prism_operator.api.meta import PRISM_PATTERN, Json, Ref
from prism_operator.api.namespace import Auth, PrismNamespace
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.connection import resolve_connection
from prism_operator.planning.endpoints import MalformedUrlError, endpoint_of
from prism_operator.planning.memo import parsed
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.provisioning import (
    Admin,
    BackendConfig,
    Pairs,
    PatternConfig,
    Provision,
)
from prism_operator.planning.proxies import proxy_of
from prism_operator.planning.secrecy import without_user_information
from prism_operator.planning.secret_data import ObstacleError, credentials_of


@dataclass(frozen=True, slots=True)
class Tenant:
    """The request, and what of the spec it could not say."""

    request: Provision
    missing: tuple[str, ...] = ()  # patterns and backends that cannot be described, and why
    withheld: tuple[str, ...] = ()  # backends whose credentials stay here


def tenant_of(obj: Json, namespace: PrismNamespace, admin: Admin, cluster: Snapshot) -> Tenant:
    """What the proxy is to be told of the namespace."""
    proxy = proxy_of(obj)
    patterns: dict[str, PatternConfig] = {}
    backends: dict[str, BackendConfig] = {}
    missing: list[str] = []
    withheld: set[str] = set()
    for name in namespace.spec.patterns:
        ref = Ref(PRISM_PATTERN, proxy.namespace, name)
        pattern = _pattern(ref, cluster)
        if pattern is None:
            patterns[name] = PatternConfig(name)
            missing.append(f"{ref} does not exist or is not valid")
            continue
        patterns[name] = PatternConfig(pattern.spec.pattern, _settings(pattern, admin))
        try:
            backend = _backend(pattern, cluster)
        except ObstacleError as obstacle:
            missing.append(f"{ref}: {obstacle.message}")
            continue
        if backend is None:
            continue
        found, config = backend
        if config.credentials and admin.tls is None:
            withheld.add(found.name)
            config = BackendConfig(config.provider, config.url)
        backends[found.name] = config
    request = Provision(
        admin=admin,
        proxy=proxy.name,
        namespace=namespace.spec.namespace_id,
        backends=tuple(sorted(backends.items())),
        patterns=tuple(sorted(patterns.items())),
        auth=_auth(namespace.spec.auth),
        metadata=tuple(sorted(_metadata(namespace))),
    )
    return Tenant(request, tuple(missing), tuple(sorted(withheld)))


def _pattern(ref: Ref, cluster: Snapshot) -> PrismPattern | None:
    found = cluster.get(ref)
    if found is None:
        return None
    try:
        return parsed(found, PrismPattern)
    except InvalidObject:
        return None


def _backend(pattern: PrismPattern, cluster: Snapshot) -> tuple[PrismBackend, BackendConfig] | None:
    """The backend that a pattern refers to; None when to none. Raises ObstacleError."""
    connection = resolve_connection(pattern, cluster)
    if connection.condition.status != "True":
        reason = connection.condition.reason
        raise ObstacleError(reason, f"its PrismBackend cannot be used: {reason}")
    if connection.backend is None:
        return None
    backend = parsed(connection.backend, PrismBackend)
    given = backend.spec.connection
    url, username, password = "", None, None
    if given is not None and given.secret_ref is not None:
        url, username, password = credentials_of(given.secret_ref, backend.namespace, cluster)
    elif given is not None:
        url = given.url or ""
    provider = backend.spec.provider
    try:
        endpoint = endpoint_of(url, provider) if url else None
    except MalformedUrlError as error:
        raise ObstacleError("MalformedUrl", str(error)) from error
    if endpoint is not None:
        username, password = username or endpoint.username, password or endpoint.password
    credentials = (("password", password), ("username", username))
    return backend, BackendConfig(
        provider=provider,
        url=without_user_information(url),
        credentials=tuple((key, value) for key, value in credentials if value is not None),
    )


def _settings(pattern: PrismPattern, admin: Admin) -> Pairs:
    """The pattern's settings, nested ones under paths with dots, lists as JSON."""
    pairs = sorted(_flat(pattern.spec.config or {}, ""))
    if admin.tls is not None:
        return tuple(pairs)
    return tuple((key, without_user_information(value)) for key, value in pairs)


def _flat(settings: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        match value:
            case dict() if value:
                yield from _flat(value, f"{path}{key}.")
            case str():
                yield f"{path}{key}", value
            case _:
                yield f"{path}{key}", json.dumps(value, sort_keys=True, separators=(",", ":"))


def _auth(auth: Auth | None) -> Pairs | None:
    if auth is None:
        return None
    options = {
        "client_id": auth.oidc_client_id,
        "issuer": auth.oidc_issuer,
        "service_accounts": ",".join(auth.service_accounts) or None,
    }
    return tuple((key, value) for key, value in options.items() if value is not None)


def _metadata(namespace: PrismNamespace) -> Iterator[tuple[str, str]]:
    spec = namespace.spec
    if spec.display_name is not None:
        yield "displayName", spec.display_name
    for key, value in spec.tags.items():
        yield f"tag.{key}", value
    if spec.quotas is None:
        return
    limit = spec.quotas.rate_limit
    quotas = {
        "maxKeys": spec.quotas.max_keys,
        "maxConnections": spec.quotas.max_connections,
        "requestsPerSecond": None if limit is None else limit.requests_per_second,
        "burstSize": None if limit is None else limit.burst_size,
    }
    for key, number in quotas.items():
        if number is not None:
            yield f"quota.{key}", str(number)
