"""The sections that several kinds share: Component, Placement, references, probes, statuses."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.durations import parse_duration_s
from prism_operator.api.fields import (
    CORE_V1,
    Affinity,
    Annotations,
    Bool,
    Conditions,
    Count,
    DnsLabel,
    DnsSubdomain,
    Duration,
    Labels,
    LongCount,
    Model,
    Port,
    Resources,
    ShortText,
    Tolerations,
    TopologySpreadConstraints,
    Upstream,
)
from prism_operator.api.meta import Json
from prism_operator.api.rules import Rule, Shown


class ObjectMeta(Model):
    """The metadata the operator reads; the API server keeps the rest."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: list[Json] = Field(default_factory=list)


class PrismObject(Model):
    """What all four kinds have."""

    api_version: str
    kind: str
    metadata: ObjectMeta

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return self.metadata.namespace

    @property
    def is_paused(self) -> bool:
        """Whether the annotation ``prism.io/paused: "true"`` stops writes to it."""
        return self.metadata.annotations.get("prism.io/paused") == "true"

    @property
    def is_deleting(self) -> bool:
        """Whether the object was deleted and waits for finalizers."""
        return self.metadata.deletion_timestamp is not None


class ObjectReference(Model):
    """Names an object."""

    name: DnsSubdomain
    """Name of the object."""
    namespace: DnsLabel | None = None
    """Namespace of the object; the referring object's own when not given."""


_SECRET_KEY = "^[-._a-zA-Z0-9]+$"  # noqa: S105 - the form of a key's name


def _is_secret_key(field: str) -> Rule:
    return Rule(
        cel=f"self.{field}.matches('{_SECRET_KEY}')",
        holds=lambda keys: re.search(_SECRET_KEY, getattr(keys, field)) is not None,
        message=f'"{{{field}}}" is no key of a Secret: letters, digits, - _ and . only',
        at=field,
    )


class SecretKeys(Model):
    """Which keys of a Secret hold what. Without it: `url`, `username` and `password`."""

    RULES = tuple(_is_secret_key(key) for key in ("url", "username", "password"))

    url: ShortText = "url"
    """Key that holds the connection URL."""
    username: ShortText = "username"
    """Key that holds the user name."""
    password: ShortText = "password"  # noqa: S105 - the name of a key
    """Key that holds the password."""


class ConnectionSecretRef(ObjectReference):
    """A Secret with connection details. In another namespace, the Secret's annotation
    `prism.io/allowed-namespaces` must list this one.
    """

    keys: SecretKeys = SecretKeys()
    """Which keys of the Secret hold what."""


class Tls(Model):
    """Transport security."""

    enabled: Bool = True
    """Whether TLS is used."""
    secret_ref: ObjectReference | None = None
    """Secret with `ca.crt`, and `tls.crt` and `tls.key` for a certificate of our own."""


class HealthCheck(Model):
    """How a backend's health is checked."""

    RULES = (
        Rule(
            cel="duration(self.interval) >= duration('1s')",
            holds=lambda check: check.interval_s >= 1,
            message="{interval} is shorter than 1s",
            at="interval",
        ),
        Rule(
            cel="duration(self.timeout) > duration('0s')",
            holds=lambda check: check.timeout_s > 0,
            message="{timeout} is not longer than 0s",
            at="timeout",
        ),
        Rule(
            cel="duration(self.timeout) <= duration(self.interval)",
            holds=lambda check: check.timeout_s <= check.interval_s,
            message="{timeout} is longer than interval {interval}: checks would overtake each"
            " other",
            at="timeout",
        ),
    )

    enabled: Bool = True
    """Whether the backend's health is checked."""
    interval: Duration = "10s"
    """Time from one check to the next."""
    timeout: Duration = "5s"
    """Time after which a check counts as failed."""

    @property
    def interval_s(self) -> float:
        """Seconds from one check to the next."""
        return parse_duration_s(self.interval)

    @property
    def timeout_s(self) -> float:
        """Seconds after which a check counts as failed."""
        return parse_duration_s(self.timeout)


class ServiceSpec(Model):
    """The Service in front of a component."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """How the Service is exposed."""
    port: Port | None = None
    """Port of the Service; the component's own port when not given."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the Service, as cloud load balancers read them."""


class Probes(Model):
    """Health probes of the container. Those not given fall back to a TCP check of the port."""

    liveness: Annotated[Json, Upstream(CORE_V1 + "Probe")] | None = None
    """Restarts the container when it fails."""
    readiness: Annotated[Json, Upstream(CORE_V1 + "Probe")] | None = None
    """Takes the pod out of its Service while it fails."""
    startup: Annotated[Json, Upstream(CORE_V1 + "Probe")] | None = None
    """Holds the other probes back until it succeeds."""


Strategy: TypeAlias = Literal[
    "MultiZone",
    "MultiRegion",
    "DedicatedNodes",
    "Spot",
    "BackendProximity",
    "ControlPlaneIsolation",
]


class Placement(Model):
    """Where and how pods are placed. A strategy adds what is not given, and overrides nothing."""

    RULES = (
        Rule(
            cel="!has(self.strategy) || self.strategy != 'DedicatedNodes'"
            " || (has(self.nodeSelector) && size(self.nodeSelector) > 0)",
            holds=lambda placement: (
                placement.strategy != "DedicatedNodes" or bool(placement.node_selector)
            ),
            message="strategy DedicatedNodes needs a nodeSelector that names the nodes",
            at="nodeSelector",
            reason="FieldValueRequired",
        ),
    )

    strategy: Strategy | None = None
    """Ready-made placement rules for a purpose."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels a node must have."""
    affinity: Affinity | None = None
    """Affinity to nodes and pods."""
    tolerations: Tolerations = Field(default_factory=list)
    """Taints the pods tolerate."""
    topology_spread_constraints: TopologySpreadConstraints = Field(default_factory=list)
    """How pods spread over zones, nodes or other topologies."""
    resources: Resources | None = None
    """CPU and memory of the container; here or on the component, not on both."""
    priority_class_name: DnsSubdomain | None = None
    """Priority class of the pods; `system-` ones need the flag --allow-privileged-placement."""
    runtime_class_name: DnsSubdomain | None = None
    """Container runtime class, such as gvisor."""
    node_name: DnsSubdomain | None = None
    """Pins pods to one node, past the scheduler; needs the flag --allow-privileged-placement."""


# Labels the operator sets itself; a Deployment's selector or a Service depends on them.
RESERVED_LABELS = ("app", "component", "stack", "pattern", "backend", "runner")
RESERVED_LABEL_PREFIX = "app.kubernetes.io/"
_IS_RESERVED = (
    f"key in [{', '.join(repr(label) for label in RESERVED_LABELS)}]"
    f" || key.startsWith('{RESERVED_LABEL_PREFIX}')"
)
# Not the whole grammar: what no registry could ever mean.
_IMAGE = "^[A-Za-z0-9][-A-Za-z0-9._/:@+]*$"


def is_reserved_label(key: str) -> bool:
    """Whether the operator sets the label itself."""
    return key in RESERVED_LABELS or key.startswith(RESERVED_LABEL_PREFIX)


class Component(Model):
    """What a workload is made of."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.podLabels) || !self.podLabels.exists(key, {_IS_RESERVED})",
            holds=lambda component: not any(map(is_reserved_label, component.pod_labels)),
            message="{label} is a label that the operator sets itself, as it does"
            f" {', '.join(RESERVED_LABELS)} and {RESERVED_LABEL_PREFIX}*: use another",
            at="podLabels",
            reason="FieldValueForbidden",
            shown=(
                Shown(
                    "label",
                    f"self.podLabels.filter(key, {_IS_RESERVED})[0]",
                    lambda component: next(filter(is_reserved_label, component.pod_labels)),
                ),
            ),
        ),
        Rule(
            cel=f"!has(self.image) || self.image.matches('{_IMAGE}')",
            holds=lambda component: (
                component.image is None or re.search(_IMAGE, component.image) is not None
            ),
            message='"{image}" is no reference of an image: write registry/name:tag without spaces',
            at="image",
        ),
    )

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image; the operator's default for the component when not given."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""
    replicas: Count = 1
    """Number of pods. While autoscaling is enabled, just the number to start with."""
    resources: Resources | None = None
    """CPU and memory of the container. Requests of 100m and 128Mi apply when nothing is given."""
    env: Annotated[
        list[Json], Upstream(CORE_V1 + "EnvVar", keys=("name",)), Field(max_length=256)
    ] = Field(default_factory=list)
    """More environment variables of the container."""
    pod_labels: Labels = Field(default_factory=dict)
    """More labels of the pods."""
    pod_annotations: Annotations = Field(default_factory=dict)
    """More annotations of the pods."""
    probes: Probes = Probes()
    """Health probes of the container."""
    pod_security_context: Annotated[Json, Upstream(CORE_V1 + "PodSecurityContext")] | None = None
    """Security settings of the pod; they meet the restricted standard when not given."""
    security_context: Annotated[Json, Upstream(CORE_V1 + "SecurityContext")] | None = None
    """Security settings of the container; they meet the restricted standard when not given."""
    service_account_name: DnsSubdomain | None = None
    """ServiceAccount the pods run as."""
    termination_grace_period_seconds: LongCount | None = None
    """Seconds a pod has to end by itself."""
    lifecycle: Annotated[Json, Upstream(CORE_V1 + "Lifecycle")] | None = None
    """Hooks after the start and before the end of the container."""
    strategy: Annotated[Json, Upstream("io.k8s.api.apps.v1.DeploymentStrategy")] | None = None
    """How a new version replaces the old one."""

    @property
    def effective_placement(self) -> Placement:
        """Where the pods go; an empty Placement when nothing is given."""
        return Placement()

    @property
    def effective_resources(self) -> Json | None:
        """The container's resources from wherever they stand, None when nowhere."""
        return self.resources or self.effective_placement.resources

    @property
    def effective_autoscaling(self) -> Autoscaling | None:
        """The autoscaling section, if there is one and it is enabled."""
        return None

    @property
    def least_replicas(self) -> int:
        """The least number of replicas there may be."""
        scaling = self.effective_autoscaling
        return self.replicas if scaling is None else scaling.min_replicas

    @property
    def initial_replicas(self) -> int:
        """The number of replicas to create the workload with: within the scaler's bounds."""
        scaling = self.effective_autoscaling
        if scaling is None:
            return self.replicas
        largest = scaling.max_replicas or self.replicas
        return max(scaling.min_replicas, min(self.replicas, largest))


def resources_in_one_place(placement: str) -> Rule:
    """The rule that resources stand on the component or in its ``placement``, not in both."""
    attribute = "runner_spec" if placement == "runnerSpec" else placement
    return Rule(
        cel=f"!has(self.resources) || !has(self.{placement}) || !has(self.{placement}.resources)",
        holds=lambda component: (
            component.resources is None
            or getattr(component, attribute) is None
            or getattr(component, attribute).resources is None
        ),
        message=f"resources stand here and in {placement}: remove one",
        at="resources",
        reason="FieldValueForbidden",
    )


class WorkloadStatus(Model):
    """How far a workload is."""

    replicas: Count = 0
    """Pods there are."""
    updated_replicas: Count = 0
    """Pods of the newest version."""
    ready_replicas: Count = 0
    """Pods that are ready."""
    available_replicas: Count = 0
    """Pods that have been ready long enough."""


class Status(Model):
    """What all statuses have."""

    observed_generation: LongCount = 0
    """Generation of the spec this status is about."""
    phase: ShortText = ""
    """The state in one word."""
    shard: ShortText = ""
    """Shard whose operator looks after the object; empty for the default one."""
    conditions: Conditions = Field(default_factory=list)
    """The state in detail."""
