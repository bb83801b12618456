"""PrismBackend: how to reach a backend."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from prism_operator.api.common import ConnectionSecretRef, HealthCheck, PrismObject, Status, Tls
from prism_operator.api.fields import (
    Bool,
    LongText,
    Model,
    NamespaceNames,
    PositiveCount,
    ShortText,
    Text,
)
from prism_operator.api.rules import Rule
from prism_operator.api.urls import no_credentials

BackendType: TypeAlias = Literal["messaging", "database", "cache", "queue", "storage"]
Provider: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]

PROVIDERS = ("nats", "kafka", "redis", "postgres", "rabbitmq", "sqs", "memstore")
PROVIDER_BY_SCHEME = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "kafka": "kafka",
    "memstore": "memstore",
    "nats": "nats",
    "postgres": "postgres",
    "postgresql": "postgres",
    "redis": "redis",
    "rediss": "redis",
    "tls": "nats",
}

_SQS_HOST = re.compile(r"sqs\.[a-z0-9-]+\.amazonaws\.com(\.cn)?(:\d+)?(/|$)")


def provider_from_url(url: str) -> str | None:
    """The provider a URL's scheme tells, None when it tells none."""
    scheme, separator, rest = url.partition("://")
    if scheme == "https" and _SQS_HOST.match(rest):
        return "sqs"
    return PROVIDER_BY_SCHEME.get(scheme) if separator else None


def provider_from_name(name: str) -> str | None:
    """The first provider that is a word of a name, as in ``nats-production``."""
    return next((word for word in name.split("-") if word in PROVIDERS), None)


class Connection(Model):
    """Where the backend is."""

    RULES = (
        Rule(
            cel="!has(self.url) || !has(self.secretRef)",
            holds=lambda connection: connection.url is None or connection.secret_ref is None,
            message="url and secretRef are both given: remove one",
            at="url",
            reason="FieldValueForbidden",
        ),
        no_credentials("url", lambda connection: connection.url),
        Rule(
            cel="has(self.url) || has(self.secretRef)",
            holds=lambda connection: (
                connection.url is not None or connection.secret_ref is not None
            ),
            message="neither url nor secretRef is given: set one",
            at="url",
            reason="FieldValueRequired",
        ),
    )

    url: LongText | None = None
    """URL of the backend. One with a password belongs in a Secret."""
    secret_ref: ConnectionSecretRef | None = None
    """Secret with the connection details."""


class PrismBackendSpec(Model):
    """What the backend is."""

    RULES = (
        Rule(
            cel="has(self.connection) || self.provider == 'memstore'",
            holds=lambda spec: spec.connection is not None or spec.provider == "memstore",
            message="connection is missing: only provider memstore needs none",
            at="connection",
            reason="FieldValueRequired",
        ),
    )

    type: BackendType
    """What the backend is for."""
    provider: Provider
    """Product behind the backend: nats, kafka, redis, postgres, rabbitmq, sqs, memstore, ..."""
    connection: Connection | None = None
    """Where the backend is."""
    tls: Tls | None = None
    """Transport security towards the backend."""
    health_check: HealthCheck = HealthCheck()
    """How the backend's health is checked."""
    allowed_namespaces: NamespaceNames = ()
    """Kubernetes namespaces whose PrismPatterns may use this backend's Secret."""


class Topic(Model):
    """A topic of the backend, as last seen."""

    name: Annotated[str, Field(min_length=1, max_length=249)]
    """Its name."""
    partitions: PositiveCount
    """Its number of partitions."""


class PrismBackendStatus(Status):
    """What was last seen of the backend."""

    healthy: Bool | None = None
    """Whether the last check succeeded."""
    last_checked: Annotated[str, Field(max_length=64)] | None = None
    """Time of the last check."""
    message: Text = ""
    """What the last check found."""
    latency: ShortText = ""
    """How long the last check took, such as 12ms."""
    topics: Annotated[list[Topic], Field(max_length=1000)] = Field(default_factory=list)
    """Topics that patterns use, where the backend tells of them."""


class PrismBackend(PrismObject):
    """A backend: where it is, how to reach it, whether it is healthy."""

    kind: Literal["PrismBackend"]
    spec: PrismBackendSpec
    status: PrismBackendStatus = PrismBackendStatus()
