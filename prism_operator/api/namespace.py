"""PrismNamespace: a tenant's namespace on a Prism proxy."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from prism_operator.api.common import ObjectReference, PrismObject, Status
from prism_operator.api.durations import parse_duration_s
from prism_operator.api.fields import DnsSubdomain, Duration, ListSet, LongCount, Model, ShortText
from prism_operator.api.rules import Rule


class ProxyRef(ObjectReference):
    """The Service of a stack's proxy, `<stack>-proxy`."""


class RateLimit(Model):
    """Requests allowed."""

    RULES = (
        Rule(
            cel="!has(self.burstSize) || has(self.requestsPerSecond)",
            holds=lambda limit: limit.burst_size is None or limit.requests_per_second is not None,
            message="burstSize {burstSize} stands without requestsPerSecond: set that too",
            at="requestsPerSecond",
            reason="FieldValueRequired",
        ),
        Rule(
            cel="!has(self.burstSize) || self.burstSize > 0 || !has(self.requestsPerSecond)"
            " || self.requestsPerSecond == 0",
            holds=lambda limit: limit.burst_size != 0 or not limit.requests_per_second,
            message="0 lets no request pass, whatever requestsPerSecond {requestsPerSecond} says:"
            " set at least 1, or leave it out",
            at="burstSize",
        ),
    )

    requests_per_second: LongCount | None = None
    """Requests a second, on average."""
    burst_size: LongCount | None = None
    """Requests at once."""


class Quotas(Model):
    """What the namespace may use."""

    max_keys: LongCount | None = None
    """Keys stored."""
    max_connections: LongCount | None = None
    """Connections open."""
    rate_limit: RateLimit | None = None
    """Requests allowed."""


_ISSUER = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
_ISSUER_CEL = f"r'{_ISSUER}'"


class Auth(Model):
    """Who may use the namespace."""

    RULES = (
        Rule(
            cel="!has(self.oidcClientId) || has(self.oidcIssuer)",
            holds=lambda auth: auth.oidc_client_id is None or auth.oidc_issuer is not None,
            message="oidcClientId {oidcClientId} stands without oidcIssuer: set the issuer's URL",
            at="oidcIssuer",
            reason="FieldValueRequired",
        ),
        Rule(
            cel=f"!has(self.oidcIssuer) || self.oidcIssuer.matches({_ISSUER_CEL})",
            holds=lambda auth: (
                auth.oidc_issuer is None or re.search(_ISSUER, auth.oidc_issuer) is not None
            ),
            message="is no URL of an OpenID Connect issuer: write https://host/path, without user"
            " information, query or fragment",
            at="oidcIssuer",
        ),
    )

    oidc_issuer: Annotated[str, Field(max_length=2048)] | None = None
    """URL of the OpenID Connect issuer."""
    oidc_client_id: ShortText | None = None
    """Client id at the issuer."""
    service_accounts: Annotated[tuple[ShortText, ...], Field(max_length=256), ListSet()] = ()
    """Service accounts that may use the namespace."""


class NamespaceSettings(Model):
    """What is provisioned, wherever it is."""

    RULES = (
        Rule(
            cel="self.namespaceId == oldSelf.namespaceId",
            holds=None,
            message="namespaceId cannot change: delete this PrismNamespace and create another",
            at="namespaceId",
        ),
        Rule(
            cel="!has(self.ttl) || duration(self.ttl) > duration('0s')",
            holds=lambda settings: settings.ttl_s is None or settings.ttl_s > 0,
            message="{ttl} is not longer than 0s",
            at="ttl",
        ),
    )

    namespace_id: Annotated[
        str,
        Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
    ]
    """Identifier of the namespace on the proxy. Cannot change."""
    display_name: ShortText | None = None
    """Name that people see."""
    quotas: Quotas | None = None
    """What the namespace may use."""
    patterns: Annotated[tuple[DnsSubdomain, ...], Field(max_length=256), ListSet()] = ()
    """Patterns the namespace may use."""
    auth: Auth | None = None
    """Who may use the namespace."""
    tags: Annotated[dict[str, ShortText], Field(max_length=64)] = Field(default_factory=dict)
    """Tags for metrics and cost reports."""
    ttl: Duration | None = None
    """Life time from provisioning on; the namespace stays when not given."""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    """Whether the namespace leaves the proxy together with this object."""

    @property
    def ttl_s(self) -> float | None:
        """The life time in seconds, None when it does not end."""
        return None if self.ttl is None else parse_duration_s(self.ttl)


class PrismNamespaceSpec(NamespaceSettings):
    """What the namespace should be."""

    proxy_ref: ProxyRef
    """Proxy to provision on."""


class NamespaceMetrics(Model):
    """What the namespace uses."""

    current_keys: LongCount | None = None
    """Keys stored."""
    current_connections: LongCount | None = None
    """Connections open."""
    request_rate: float | None = None
    """Requests a second."""


class PrismNamespaceStatus(Status):
    """What the namespace is."""

    provisioned_at: Annotated[str, Field(max_length=64)] | None = None
    """Time the proxy first had the namespace."""
    last_synced_at: Annotated[str, Field(max_length=64)] | None = None
    """Time the proxy last had all settings."""
    proxy_status: ShortText = ""
    """State of the proxy."""
    metrics: NamespaceMetrics | None = None
    """What the namespace uses."""


class PrismNamespace(PrismObject):
    """A tenant's namespace on a Prism proxy: quotas, patterns and who may use it."""

    kind: Literal["PrismNamespace"]
    spec: PrismNamespaceSpec
    status: PrismNamespaceStatus = PrismNamespaceStatus()
