"""PrismStack: a whole Prism deployment."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.backend import BackendType, Provider, provider_from_name, provider_from_url
from prism_operator.api.common import (
    Component,
    ConnectionSecretRef,
    HealthCheck,
    Placement,
    PrismObject,
    ServiceSpec,
    Status,
    Tls,
    WorkloadStatus,
    resources_in_one_place,
)
from prism_operator.api.durations import parse_duration_s
from prism_operator.api.fields import (
    Affinity,
    Bool,
    Count,
    DnsLabel,
    Duration,
    FreeForm,
    ImagePullSecrets,
    IntOrPercent,
    ListMap,
    LongText,
    Model,
    NamespaceNames,
    Port,
    Resources,
)
from prism_operator.api.meta import Json
from prism_operator.api.namespace import NamespaceSettings, ProxyRef
from prism_operator.api.pattern import (
    BackendConfig,
    BackendName,
    PatternName,
    PatternService,
    PatternType,
)
from prism_operator.api.rules import Rule, Shown
from prism_operator.api.urls import USER_INFORMATION, has_user_information, no_credentials

_PERCENTAGE = "^([1-9][0-9]?|100)%$"
# At most 57 characters, so that "-proxy" and "-admin" fit a label; a Service starts with a letter.
_NAME = "^[a-z]([-a-z0-9]{0,55}[a-z0-9])?$"


class PodDisruptionBudget(Model):
    """How many proxies may be disrupted at a time."""

    RULES = (
        Rule(
            cel="type(self.maxUnavailable) == int ? self.maxUnavailable >= 1"
            f" : self.maxUnavailable.matches('{_PERCENTAGE}')",
            holds=lambda budget: (
                budget.max_unavailable >= 1
                if isinstance(budget.max_unavailable, int)
                else re.search(_PERCENTAGE, budget.max_unavailable) is not None
            ),
            message="{maxUnavailable} is neither a number from 1 nor a percentage from 1% to 100%",
            at="maxUnavailable",
        ),
    )

    enabled: Bool = True
    """Whether there is a budget once the least number of replicas exceeds 1."""
    max_unavailable: IntOrPercent = 1
    """Most pods that may be unavailable at a time, as a number or a percentage; never 0."""


class ProxySpec(Component):
    """The Prism proxy: the data plane."""

    RULES = (resources_in_one_place("placement"),)

    port: Port = 9090
    """Port the proxy listens on."""
    placement: Placement | None = None
    """Where the proxies run."""
    autoscaling: Autoscaling | None = None
    """Scales the proxies with load."""
    service: ServiceSpec = ServiceSpec()
    """The Service in front of the proxies."""
    pod_disruption_budget: PodDisruptionBudget = PodDisruptionBudget()
    """How many proxies may be disrupted at a time."""

    @property
    def effective_placement(self) -> Placement:
        """See ``Component``."""
        return self.placement or Placement()

    @property
    def effective_autoscaling(self) -> Autoscaling | None:
        """See ``Component``."""
        return self.autoscaling if self.autoscaling and self.autoscaling.enabled else None

    @property
    def service_port(self) -> int:
        """The port of the Service."""
        return self.service.port or self.port


class LeaderElection(Model):
    """How the admins agree on a leader."""

    RULES = (
        Rule(
            cel="duration(self.leaseDuration) >= duration('1s')",
            holds=lambda election: election.lease_duration_s >= 1,
            message="{leaseDuration} is shorter than 1s, the unit a Lease counts in",
            at="leaseDuration",
        ),
        Rule(
            cel="duration(self.renewDeadline) < duration(self.leaseDuration)",
            holds=lambda election: election.renew_deadline_s < election.lease_duration_s,
            message="{renewDeadline} is not below leaseDuration {leaseDuration}",
            at="renewDeadline",
        ),
        Rule(
            cel="duration(self.retryPeriod) < duration(self.renewDeadline)",
            holds=lambda election: election.retry_period_s < election.renew_deadline_s,
            message="{retryPeriod} is not below renewDeadline {renewDeadline}",
            at="retryPeriod",
        ),
        Rule(
            cel="duration(self.retryPeriod) > duration('0s')",
            holds=lambda election: election.retry_period_s > 0,
            message="{retryPeriod} is not longer than 0s",
            at="retryPeriod",
        ),
    )

    enabled: Bool = True
    """Whether one admin leads."""
    lease_duration: Duration = "15s"
    """Time after which a silent leader is replaced."""
    renew_deadline: Duration = "10s"
    """Time after which a leader that cannot renew steps down; below leaseDuration."""
    retry_period: Duration = "2s"
    """Time between attempts; below renewDeadline."""

    @property
    def lease_duration_s(self) -> float:
        """Seconds after which a silent leader is replaced."""
        return parse_duration_s(self.lease_duration)

    @property
    def renew_deadline_s(self) -> float:
        """Seconds after which a leader that cannot renew steps down."""
        return parse_duration_s(self.renew_deadline)

    @property
    def retry_period_s(self) -> float:
        """Seconds between attempts."""
        return parse_duration_s(self.retry_period)


class AdminSpec(Component):
    """The Prism admin: the control plane."""

    RULES = (resources_in_one_place("placement"),)

    enabled: Bool = True
    """Whether there is an admin."""
    port: Port = 8981
    """Port the admin listens on."""
    placement: Placement | None = None
    """Where the admins run."""
    leader_election: LeaderElection = LeaderElection()
    """How the admins agree on a leader."""
    service: ServiceSpec = ServiceSpec()
    """The Service in front of the admins."""
    tls: Tls | None = None
    """Transport security of the admin API; credentials travel only with it."""

    @property
    def effective_placement(self) -> Placement:
        """See ``Component``."""
        return self.placement or Placement()

    @property
    def service_port(self) -> int:
        """The port of the Service."""
        return self.service.port or self.port


class StackPattern(Component):
    """A pattern runner of the stack; becomes a PrismPattern of the same name."""

    RULES = (resources_in_one_place("runnerSpec"),)

    name: PatternName
    """Name of the PrismPattern, and of its Deployment and Service."""
    type: PatternType
    """Pattern to run, such as keyvalue, pubsub, consumer or producer."""
    backend: BackendName
    """Backend the pattern uses: one of the stack's backends, or the kind of one."""
    config: FreeForm | None = None
    """Settings of the pattern, as its runner reads them."""
    runner_spec: Placement | None = None
    """Where the runners run."""
    autoscaling: Autoscaling | None = None
    """Scales the runners with load."""
    service: PatternService | None = None
    """The Service in front of the runners."""
    backend_config: BackendConfig | None = None
    """A PrismBackend to use, or settings of the backend by provider."""

    @property
    def effective_placement(self) -> Placement:
        """See ``Component``."""
        return self.runner_spec or Placement()

    @property
    def effective_autoscaling(self) -> Autoscaling | None:
        """See ``Component``."""
        return self.autoscaling if self.autoscaling and self.autoscaling.enabled else None

    @property
    def port(self) -> int:
        """The port the runner listens on, as the PrismPattern has it."""
        return (self.service or PatternService()).port


class StackBackend(Model):
    """A backend of the stack; becomes a PrismBackend of the same name."""

    RULES = (
        Rule(
            cel="!has(self.connectionString) || !has(self.secretRef)",
            holds=lambda backend: backend.connection_string is None or backend.secret_ref is None,
            message="connectionString and secretRef are both given: remove one",
            at="connectionString",
            reason="FieldValueForbidden",
        ),
        no_credentials("connectionString", lambda backend: backend.connection_string),
        Rule(
            cel="has(self.connectionString) || has(self.secretRef)"
            " || (has(self.provider) ? self.provider : self.name) == 'memstore'",
            holds=lambda backend: (
                backend.connection_string is not None
                or backend.secret_ref is not None
                or (backend.provider or backend.name) == "memstore"
            ),
            message="neither connectionString nor secretRef is given:"
            " only provider memstore needs none",
            at="connectionString",
            reason="FieldValueRequired",
        ),
        Rule(
            cel="has(self.provider)"
            " || (has(self.connectionString) && self.connectionString.matches("
            "'^(nats|tls|kafka|rediss?|postgres|postgresql|amqps?|memstore)://'))"
            " || self.name.matches("
            "'(^|-)(nats|kafka|redis|postgres|rabbitmq|sqs|memstore)(-|$)')",
            holds=lambda backend: backend.effective_provider is not None,
            message="provider is missing, and neither connectionString nor name tells it:"
            " set nats, kafka, redis, postgres, rabbitmq, sqs or memstore",
            at="provider",
            reason="FieldValueRequired",
        ),
    )

    name: DnsLabel
    """Name of the PrismBackend."""
    type: BackendType
    """What the backend is for."""
    provider: Provider | None = None
    """Product behind the backend; read off the URL or the name when not given."""
    connection_string: LongText | None = None
    """URL of the backend. One with a password belongs in a Secret."""
    secret_ref: ConnectionSecretRef | None = None
    """Secret with the connection details."""
    tls: Tls | None = None
    """Transport security towards the backend."""
    health_check: HealthCheck = HealthCheck()
    """How the backend's health is checked."""

    @property
    def effective_provider(self) -> str | None:
        """The product, read off the URL's scheme or the name when the user did not say."""
        if self.provider is not None:
            return self.provider
        by_url = provider_from_url(self.connection_string) if self.connection_string else None
        return by_url or provider_from_name(self.name)


class StackNamespace(NamespaceSettings):
    """A tenant namespace of the stack; becomes a PrismNamespace of the same name."""

    name: DnsLabel
    """Name of the PrismNamespace."""
    proxy_ref: ProxyRef | None = None
    """Proxy to provision on; the stack's own when not given."""


class Tracing(Model):
    """Where traces go."""

    RULES = (
        Rule(
            cel=f"!has(self.endpoint) || !self.endpoint.matches('{USER_INFORMATION}')",
            holds=lambda tracing: not has_user_information(tracing.endpoint),
            message="holds a user name or password, which would be readable in the pods: leave it"
            " out",
            at="endpoint",
        ),
    )

    endpoint: Annotated[str, Field(max_length=2048)] | None = None
    """URL of the trace collector."""


class Metrics(Model):
    """How metrics are exposed."""

    port: Port = 9090
    """Port that serves metrics; may be the component's own port."""


class Observability(Model):
    """Tracing and metrics of every component."""

    enabled: Bool = True
    """Whether tracing and metrics are on."""
    tracing: Tracing = Tracing()
    """Where traces go."""
    metrics: Metrics = Metrics()
    """How metrics are exposed."""


class PrismStackSpec(Model):
    """What the stack should be."""

    RULES = (
        Rule(
            cel="!has(self.namespaces) || self.namespaces.all(n, has(n.proxyRef)"
            " || self.namespaces.exists_one(m, !has(m.proxyRef)"
            " && m.namespaceId == n.namespaceId))",
            holds=lambda spec: not spec.repeated_namespace_ids,
            message="two namespaces on the stack's proxy have the namespaceId {id}: one of them"
            " would never be provisioned",
            at="namespaces",
            shown=(
                Shown(
                    "id",
                    "self.namespaces.filter(n, !has(n.proxyRef) && !self.namespaces.exists_one(m,"
                    " !has(m.proxyRef) && m.namespaceId == n.namespaceId))[0].namespaceId",
                    lambda spec: spec.repeated_namespace_ids[0],
                ),
            ),
        ),
    )

    proxy: ProxySpec = ProxySpec()
    """The proxy. One replica with all defaults when not given."""
    admin: AdminSpec | None = None
    """The admin. There is none when not given."""
    patterns: Annotated[tuple[StackPattern, ...], Field(max_length=128), ListMap("name")] = ()
    """Pattern runners, one PrismPattern each."""
    backends: Annotated[tuple[StackBackend, ...], Field(max_length=128), ListMap("name")] = ()
    """Backends, one PrismBackend each."""
    namespaces: Annotated[tuple[StackNamespace, ...], Field(max_length=256), ListMap("name")] = ()
    """Tenant namespaces, one PrismNamespace each."""
    observability: Observability | None = None
    """Tracing and metrics."""
    image_pull_secrets: ImagePullSecrets = Field(default_factory=list)
    """Secrets for private image registries."""
    allowed_namespaces: NamespaceNames = ()
    """Kubernetes namespaces whose PrismNamespaces may be provisioned on this stack's proxy."""
    affinity: Affinity | None = None
    """Affinity of every component that has none of its own."""
    resources: Resources | None = None
    """CPU and memory of every component that has none of its own."""

    @property
    def repeated_namespace_ids(self) -> list[str]:
        """The ids that more than one namespace on the stack's own proxy has."""
        ids = [n.namespace_id for n in self.namespaces if n.proxy_ref is None]
        return [found for found in dict.fromkeys(ids) if ids.count(found) > 1]

    @property
    def enabled_admin(self) -> AdminSpec | None:
        """The admin section, if there is one and it is enabled."""
        return self.admin if self.admin is not None and self.admin.enabled else None

    @property
    def enabled_observability(self) -> Observability | None:
        """The observability section, if there is one and it is enabled."""
        section = self.observability
        return section if section is not None and section.enabled else None

    def resources_of(self, component: Component) -> Json | None:
        """The resources of a component: its own, or the stack's."""
        return component.effective_resources or self.resources

    def affinity_of(self, component: Component) -> Json | None:
        """The affinity of a component: its own, or the stack's."""
        return component.effective_placement.affinity or self.affinity


class PrismStackStatus(Status):
    """What the stack is."""

    proxy: WorkloadStatus = WorkloadStatus()
    """The proxies."""
    admin: WorkloadStatus | None = None
    """The admins, when there are any."""
    patterns: Count = 0
    """Patterns there are."""
    ready_patterns: Count = 0
    """Patterns that are ready."""
    summary: Annotated[str, Field(max_length=253)] = ""
    """How many of the components are ready, such as 3/4."""


def _is_taken(stack: PrismStack, pattern: StackPattern) -> bool:
    return pattern.name in (f"{stack.name}-proxy", f"{stack.name}-admin")


class PrismStack(PrismObject):
    """A whole Prism deployment: proxy, admin, pattern runners, backends and tenant namespaces."""

    RULES = (
        Rule(
            cel=f"self.metadata.name.matches('{_NAME}')",
            holds=lambda stack: re.search(_NAME, stack.name) is not None,
            message="{metadata.name} is no name for a stack: at most 57 lower-case letters,"
            " digits and dashes, from a letter to a letter or digit, so that names made of it fit",
            at="metadata.name",
        ),
        Rule(
            cel="!has(self.spec.patterns) || !self.spec.patterns.exists(p,"
            " p.name == self.metadata.name + '-proxy' || p.name == self.metadata.name + '-admin')",
            holds=lambda stack: not any(_is_taken(stack, p) for p in stack.spec.patterns),
            message="a pattern has the name {name} of the stack's proxy or admin: rename it",
            at="spec.patterns",
            shown=(
                Shown(
                    "name",
                    "self.spec.patterns.filter(p, p.name == self.metadata.name + '-proxy'"
                    " || p.name == self.metadata.name + '-admin')[0].name",
                    lambda stack: next(p.name for p in stack.spec.patterns if _is_taken(stack, p)),
                ),
            ),
        ),
    )

    kind: Literal["PrismStack"]
    spec: PrismStackSpec
    status: PrismStackStatus = PrismStackStatus()
