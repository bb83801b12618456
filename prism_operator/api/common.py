"""What several kinds share: the base of all models, field types, Component, Placement, Autoscaling.

Docstrings of classes and fields become the descriptions ``kubectl explain`` shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from prism_operator.api.durations import DURATION_PATTERN, parse_duration_s
from prism_operator.api.meta import Json
from prism_operator.api.quantities import parse_quantity
from prism_operator.api.rules import Rule
from prism_operator.api.upstream import misshapen

# --- How models and schemas are made ------------------------------------------------------------


class Model(BaseModel):
    """Base of everything in a Prism object: frozen, camelCase in JSON, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: object) -> object:
        # The API server prunes a null where it has a default for the field.
        if isinstance(given, Mapping) and None in given.values():
            return {key: value for key, value in given.items() if value is not None}
        return given

    @classmethod
    def rules(cls) -> Iterator[Rule]:
        """The rules of this model, those of its bases first."""
        for base in reversed(cls.__mro__):
            yield from base.__dict__.get("RULES", ())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        rendered = handler.resolve_ref_schema(handler(schema))
        if rules := [rule.to_schema() for rule in cls.rules()]:
            rendered["x-kubernetes-validations"] = rules
        return rendered


@dataclass(frozen=True, slots=True)
class Upstream:
    """Marks plain JSON as a Kubernetes type, whose schema the CRD takes over in full.

    ``keys`` name the fields by which a list of that type is a map.
    """

    definition: str
    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._of_that_type, handler(source))

    def _of_that_type(self, value: Any) -> Any:
        # A list holds values of the type; a single one is an object, never a list.
        items = enumerate(value) if isinstance(value, list) else [("", value)]
        for index, item in items:
            if (found := misshapen(item, self.definition)) is not None:
                place = f"[{index}]" if isinstance(value, list) else ""
                context = {
                    "path": place + found.path,
                    "value": found.value,
                    "expected": found.expected,
                }
                raise PydanticCustomError("misshapen", "misshapen", context)
        return value

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        reference = {"x-upstream": self.definition}
        rendered = handler(schema)
        if rendered.get("type") != "array":
            return reference
        return {**rendered, "items": reference, **_list_type(self.keys)}


@dataclass(frozen=True, slots=True)
class ListMap:
    """Marks a list of models as a map by ``key``: no two items have the same one."""

    key: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def _distinct(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        _refuse_duplicates([getattr(item, self.key) for item in items], self.key)
        return items

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), **_list_type((self.key,))}


@dataclass(frozen=True, slots=True)
class ListSet:
    """Marks a list of strings as a set."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def _distinct(self, items: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_duplicates(list(items), "value")
        return items

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), "x-kubernetes-list-type": "set"}


@dataclass(frozen=True, slots=True)
class Extra:
    """Marks a field with a schema keyword that the CRD shows as it is."""

    keyword: str
    value: str | bool

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), self.keyword: self.value}


def _list_type(keys: tuple[str, ...]) -> Json:
    if not keys:
        return {"x-kubernetes-list-type": "atomic"}
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def _refuse_duplicates(values: list[str], key: str) -> None:
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        raise PydanticCustomError(
            "duplicate", "{key} {value} is there more than once", {"key": key, "value": repeated[0]}
        )


# --- Field types --------------------------------------------------------------------------------

_INT32 = Extra("format", "int32")
_INT64 = Extra("format", "int64")
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"

Bool: TypeAlias = StrictBool
Port: TypeAlias = Annotated[StrictInt, Field(ge=1, le=65535), _INT32]
Count: TypeAlias = Annotated[StrictInt, Field(ge=0, le=2**31 - 1), _INT32]
PositiveCount: TypeAlias = Annotated[StrictInt, Field(ge=1, le=2**31 - 1), _INT32]
# 2^53-1 is the largest integer that is safe in JSON; the API server refuses 2^63-1 as a bound.
LongCount: TypeAlias = Annotated[StrictInt, Field(ge=0, le=2**53 - 1), _INT64]
DnsLabel: TypeAlias = Annotated[str, Field(min_length=1, max_length=63, pattern=_DNS_LABEL)]
DnsSubdomain: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=253, pattern=_DNS_SUBDOMAIN)
]
LabelValue: TypeAlias = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]
LabelKey: TypeAlias = str
ShortText: TypeAlias = Annotated[str, Field(max_length=253)]
Text: TypeAlias = Annotated[str, Field(max_length=1024)]
LongText: TypeAlias = Annotated[str, Field(max_length=4096)]
Duration: TypeAlias = Annotated[str, Field(max_length=64, pattern=DURATION_PATTERN)]
Labels: TypeAlias = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Annotations: TypeAlias = Annotated[dict[str, LongText], Field(max_length=64)]
NamespaceNames: TypeAlias = Annotated[tuple[DnsLabel, ...], Field(max_length=64), ListSet()]
IntOrPercent: TypeAlias = Annotated[
    StrictInt | Annotated[str, Field(max_length=8)], Extra("x-kubernetes-int-or-string", True)
]
FreeForm: TypeAlias = Annotated[Json, Extra("x-kubernetes-preserve-unknown-fields", True)]

_CORE = "io.k8s.api.core.v1."
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_AUTOSCALING = "io.k8s.api.autoscaling.v2."

Affinity: TypeAlias = Annotated[Json, Upstream(_CORE + "Affinity")]
Resources: TypeAlias = Annotated[Json, Upstream(_CORE + "ResourceRequirements")]
Tolerations: TypeAlias = Annotated[list[Json], Upstream(_CORE + "Toleration"), Field(max_length=64)]
TopologySpreadConstraints: TypeAlias = Annotated[
    list[Json],
    Upstream(_CORE + "TopologySpreadConstraint", keys=("topologyKey", "whenUnsatisfiable")),
    Field(max_length=16),
]
ImagePullSecrets: TypeAlias = Annotated[
    list[Json], Upstream(_CORE + "LocalObjectReference", keys=("name",)), Field(max_length=16)
]
Conditions: TypeAlias = Annotated[
    list[Json], Upstream(_META + "Condition", keys=("type",)), Field(max_length=32)
]


# --- Shared models ------------------------------------------------------------------------------


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


class SecretKeys(Model):
    """Which keys of a Secret hold what. Without it: `url`, `username` and `password`."""

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

    liveness: Annotated[Json, Upstream(_CORE + "Probe")] | None = None
    """Restarts the container when it fails."""
    readiness: Annotated[Json, Upstream(_CORE + "Probe")] | None = None
    """Takes the pod out of its Service while it fails."""
    startup: Annotated[Json, Upstream(_CORE + "Probe")] | None = None
    """Holds the other probes back until it succeeds."""


def _requests_fit_limits(resources: Json | None) -> bool:
    if resources is None:
        return True
    limits = resources.get("limits") or {}
    return all(
        parse_quantity(amount) <= parse_quantity(limits[name])
        for name, amount in (resources.get("requests") or {}).items()
        if name in limits
    )


REQUESTS_WITHIN_LIMITS = Rule(
    cel="!has(self.resources) || !has(self.resources.requests)"
    " || !has(self.resources.limits) || self.resources.requests.all(name,"
    " !(name in self.resources.limits)"
    " || quantity(string(self.resources.requests[name]))"
    ".compareTo(quantity(string(self.resources.limits[name]))) <= 0)",
    holds=lambda model: _requests_fit_limits(model.resources),
    message="a request exceeds its limit",
    at="resources.requests",
)


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
        REQUESTS_WITHIN_LIMITS,
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


class AuthenticationRef(Model):
    """Where a KEDA trigger takes its credentials from."""

    name: DnsSubdomain
    """Name of a TriggerAuthentication, or of a Secret that one is generated for."""
    kind: Literal["TriggerAuthentication", "ClusterTriggerAuthentication"] | None = None
    """Kind of the object; TriggerAuthentication when not given."""


class Trigger(Model):
    """One source of scaling events for KEDA."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    """KEDA scaler, such as kafka, nats-jetstream, aws-sqs-queue or cpu."""
    name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name of the trigger, unique among the triggers."""
    metadata: Annotated[dict[str, LongText], Field(max_length=64)] = Field(default_factory=dict)
    """Settings of the scaler."""
    metric_type: Literal["AverageValue", "Value", "Utilization"] | None = None
    """How the metric is compared with its target."""
    use_cached_metrics: Bool = False
    """Whether values are cached for the polling interval."""
    authentication_ref: AuthenticationRef | None = None
    """Credentials of the scaler."""


class Fallback(Model):
    """Replicas to hold while KEDA cannot read a trigger."""

    failure_threshold: Count
    """Failed reads in a row after which the fallback holds."""
    replicas: Count
    """Number of replicas to hold."""
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = "static"
    """Whether `replicas` or the current number is held."""


# What makes an autoscaling section KEDA's, in CEL.
_IS_KEDA = (
    "((has(self.scaler) && self.scaler == 'keda') || (!has(self.scaler)"
    " && has(self.triggers) && size(self.triggers) > 0"
    " && !has(self.targetCPUUtilizationPercentage)"
    " && !has(self.targetMemoryUtilizationPercentage)"
    " && (!has(self.metrics) || size(self.metrics) == 0)))"
)


class Autoscaling(Model):
    """Scales the number of replicas with load, by a HorizontalPodAutoscaler or by KEDA."""

    RULES = (
        Rule(
            cel="!self.enabled || has(self.maxReplicas)",
            holds=lambda scaling: not scaling.enabled or scaling.max_replicas is not None,
            message="maxReplicas is missing: set the largest number of replicas",
            at="maxReplicas",
            reason="FieldValueRequired",
        ),
        Rule(
            cel="!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            holds=lambda scaling: (
                scaling.max_replicas is None or scaling.min_replicas <= scaling.max_replicas
            ),
            message="{minReplicas} exceeds maxReplicas {maxReplicas}",
            at="minReplicas",
        ),
        Rule(
            cel=f"!self.enabled || self.minReplicas > 0 || {_IS_KEDA}",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.min_replicas > 0
                or scaling.effective_scaler == "keda"
            ),
            message="0 needs scaler keda: a HorizontalPodAutoscaler stops at 1",
            at="minReplicas",
        ),
        Rule(
            cel=f"!self.enabled || !has(self.triggers) || size(self.triggers) == 0 || {_IS_KEDA}",
            holds=lambda scaling: (
                not scaling.enabled or not scaling.triggers or scaling.effective_scaler == "keda"
            ),
            message="triggers need scaler keda",
            at="triggers",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel=f"!self.enabled || !{_IS_KEDA} || (has(self.triggers) && size(self.triggers) > 0)",
            holds=lambda scaling: (
                not scaling.enabled or scaling.effective_scaler != "keda" or bool(scaling.triggers)
            ),
            message="scaler keda needs at least one trigger",
            at="triggers",
            reason="FieldValueRequired",
        ),
        Rule(
            cel=f"!self.enabled || {_IS_KEDA}"
            " || has(self.targetCPUUtilizationPercentage)"
            " || has(self.targetMemoryUtilizationPercentage)"
            " || (has(self.metrics) && size(self.metrics) > 0)",
            holds=lambda scaling: (
                not scaling.enabled or scaling.effective_scaler == "keda" or scaling.has_hpa_metrics
            ),
            message="nothing to scale on: set targetCPUUtilizationPercentage,"
            " targetMemoryUtilizationPercentage, metrics or triggers",
            reason="FieldValueRequired",
        ),
        Rule(
            cel=f"!self.enabled || !{_IS_KEDA} || !(has(self.targetCPUUtilizationPercentage)"
            " || has(self.targetMemoryUtilizationPercentage)"
            " || (has(self.metrics) && size(self.metrics) > 0))",
            holds=lambda scaling: (
                not scaling.enabled
                or scaling.effective_scaler != "keda"
                or not scaling.has_hpa_metrics
            ),
            message="metrics and utilization targets need scaler hpa;"
            " with keda add a trigger of type cpu or memory",
            at="metrics",
            reason="FieldValueForbidden",
        ),
        Rule(
            cel="!has(self.idleReplicaCount) || self.idleReplicaCount < self.minReplicas",
            holds=lambda scaling: (
                scaling.idle_replica_count is None
                or scaling.idle_replica_count < scaling.min_replicas
            ),
            message="{idleReplicaCount} is not below minReplicas {minReplicas}",
            at="idleReplicaCount",
        ),
        Rule(
            cel="!has(self.triggers) || self.triggers.all(t, !has(t.name)"
            " || self.triggers.exists_one(u, has(u.name) && u.name == t.name))",
            holds=lambda scaling: scaling.trigger_names_are_distinct,
            message="two triggers have the same name",
            at="triggers",
        ),
    )

    enabled: Bool = True
    """Whether the number of replicas follows load."""
    scaler: Literal["hpa", "keda"] | None = None
    """Who scales: hpa, or keda. When not given, keda if only triggers are given, else hpa."""
    min_replicas: Count = 1
    """Least number of replicas; 0 only with keda."""
    max_replicas: PositiveCount | None = None
    """Largest number of replicas."""
    target_cpu_utilization_percentage: PositiveCount | None = Field(
        None, alias="targetCPUUtilizationPercentage"
    )
    """CPU use to hold on average, in percent of the requests."""
    target_memory_utilization_percentage: PositiveCount | None = None
    """Memory use to hold on average, in percent of the requests."""
    metrics: Annotated[list[Json], Upstream(_AUTOSCALING + "MetricSpec"), Field(max_length=32)] = (
        Field(default_factory=list)
    )
    """More metrics for the HorizontalPodAutoscaler."""
    behavior: Annotated[Json, Upstream(_AUTOSCALING + "HorizontalPodAutoscalerBehavior")] | None = (
        None
    )
    """How fast replicas are added and removed."""
    triggers: Annotated[tuple[Trigger, ...], Field(max_length=16)] = ()
    """Sources of scaling events for KEDA; the highest demand wins."""
    polling_interval: PositiveCount = 10
    """Seconds between KEDA's looks at the triggers."""
    cooldown_period: Count = 300
    """Seconds KEDA waits after the last activity before it scales to 0."""
    initial_cooldown_period: Count | None = None
    """Seconds KEDA waits after the start before it may scale to 0."""
    idle_replica_count: Count | None = None
    """Replicas while no trigger is active; below minReplicas."""
    fallback: Fallback | None = None
    """What holds while KEDA cannot read its triggers."""
    restore_to_original_replica_count: Bool = False
    """Whether the replicas of before return when scaling is switched off."""

    @property
    def has_hpa_metrics(self) -> bool:
        """Whether there is something a HorizontalPodAutoscaler scales on."""
        return bool(
            self.metrics
            or self.target_cpu_utilization_percentage
            or self.target_memory_utilization_percentage
        )

    @property
    def effective_scaler(self) -> Literal["hpa", "keda"]:
        """Who scales, also when the user did not say."""
        if self.scaler is not None:
            return self.scaler
        return "keda" if self.triggers and not self.has_hpa_metrics else "hpa"

    @property
    def trigger_names_are_distinct(self) -> bool:
        """Whether no two triggers have the same name."""
        names = [trigger.name for trigger in self.triggers if trigger.name is not None]
        return len(names) == len(set(names))


# Labels the operator sets itself; a Deployment's selector or a Service depends on them.
RESERVED_LABELS = ("app", "component", "stack", "pattern", "backend", "runner")
RESERVED_LABEL_PREFIX = "app.kubernetes.io/"


class Component(Model):
    """What a workload is made of."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.podLabels) || !self.podLabels.exists(key, key in ["
            + ", ".join(f"'{label}'" for label in RESERVED_LABELS)
            + f"] || key.startsWith('{RESERVED_LABEL_PREFIX}'))",
            holds=lambda component: (
                not any(
                    key in RESERVED_LABELS or key.startswith(RESERVED_LABEL_PREFIX)
                    for key in component.pod_labels
                )
            ),
            message=f"the operator sets {', '.join(RESERVED_LABELS)} and {RESERVED_LABEL_PREFIX}"
            " labels itself",
            at="podLabels",
            reason="FieldValueForbidden",
        ),
        REQUESTS_WITHIN_LIMITS,
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
        list[Json], Upstream(_CORE + "EnvVar", keys=("name",)), Field(max_length=256)
    ] = Field(default_factory=list)
    """More environment variables of the container."""
    pod_labels: Labels = Field(default_factory=dict)
    """More labels of the pods."""
    pod_annotations: Annotations = Field(default_factory=dict)
    """More annotations of the pods."""
    probes: Probes = Probes()
    """Health probes of the container."""
    pod_security_context: Annotated[Json, Upstream(_CORE + "PodSecurityContext")] | None = None
    """Security settings of the pod; they meet the restricted standard when not given."""
    security_context: Annotated[Json, Upstream(_CORE + "SecurityContext")] | None = None
    """Security settings of the container; they meet the restricted standard when not given."""
    service_account_name: DnsSubdomain | None = None
    """ServiceAccount the pods run as."""
    termination_grace_period_seconds: (
        Annotated[StrictInt, Field(ge=0, le=2**31 - 1), _INT64] | None
    ) = None
    """Seconds a pod has to end by itself."""
    lifecycle: Annotated[Json, Upstream(_CORE + "Lifecycle")] | None = None
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
    conditions: Conditions = Field(default_factory=list)
    """The state in detail."""
