"""PrismPattern: one pattern runner."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.common import (
    Component,
    Placement,
    PrismObject,
    ServiceSpec,
    Status,
    WorkloadStatus,
    resources_in_one_place,
)
from prism_operator.api.fields import (
    DnsLabel,
    DnsSubdomain,
    FreeForm,
    ImagePullSecrets,
    LongText,
    Model,
    Port,
)
from prism_operator.api.meta import Json
from prism_operator.api.rules import Rule

# With "-runner" behind it, the type is the name of the container.
PatternType: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=56, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
BackendName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]


# The Service of a pattern has its name, and starts with a letter.
_NAME = "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
PatternName: TypeAlias = Annotated[str, Field(min_length=1, max_length=63, pattern=_NAME)]


class PatternService(ServiceSpec):
    """The Service in front of the runners."""

    port: Port = 8080
    """Port of the Service and of the runner."""


class BackendConfig(Model):
    """A PrismBackend by `name` and `namespace`, or settings by provider, such as `kafka: {...}`."""

    model_config = ConfigDict(extra="allow")

    RULES = (
        Rule(
            cel="has(self.name) || !has(self.__namespace__)",  # a reserved word of CEL
            holds=lambda config: config.name is not None or config.namespace is None,
            message="namespace is given without the name of a PrismBackend",
            at="name",
            reason="FieldValueRequired",
        ),
    )

    name: DnsSubdomain | None = None
    """Name of a PrismBackend."""
    namespace: DnsLabel | None = None
    """Namespace of the PrismBackend; the pattern's own when not given."""

    @property
    def inline(self) -> Json:
        """The settings by provider, as the user wrote them."""
        return dict(self.model_extra or {})


class PrismPatternSpec(Component):
    """What the runners should be."""

    RULES = (
        resources_in_one_place("runnerSpec"),
        resources_in_one_place("placement"),
        Rule(
            cel="!has(self.runnerSpec) || !has(self.placement)",
            holds=lambda spec: spec.runner_spec is None or spec.placement is None,
            message="placement and runnerSpec are two names of one thing: remove one",
            at="placement",
            reason="FieldValueForbidden",
        ),
    )

    pattern: PatternType
    """Pattern to run, such as keyvalue, pubsub, consumer or producer."""
    backend: BackendName
    """Kind of backend the pattern uses, such as redis, nats, kafka or memstore."""
    backend_config: BackendConfig | None = None
    """A PrismBackend to use, or settings of the backend by provider."""
    config: FreeForm | None = None
    """Settings of the pattern, as its runner reads them."""
    service: PatternService | None = None
    """The Service in front of the runners; there is none when not given."""
    runner_spec: Placement | None = None
    """Where the runners run."""
    placement: Placement | None = None
    """Where the runners run: another name for runnerSpec."""
    autoscaling: Autoscaling | None = None
    """Scales the runners with load."""
    image_pull_secrets: ImagePullSecrets = Field(default_factory=list)
    """Secrets for private image registries."""

    @property
    def effective_placement(self) -> Placement:
        """See ``Component``."""
        return self.runner_spec or self.placement or Placement()

    @property
    def effective_autoscaling(self) -> Autoscaling | None:
        """See ``Component``."""
        return self.autoscaling if self.autoscaling and self.autoscaling.enabled else None

    @property
    def port(self) -> int:
        """The port the runner listens on, with or without a Service in front."""
        return (self.service or PatternService()).port


class PrismPatternStatus(Status, WorkloadStatus):
    """What the runners are."""

    selector: LongText = ""
    """Label selector of the pods, for the scale subresource."""


class PrismPattern(PrismObject):
    """One pattern runner: its Deployment, Service and configuration."""

    RULES = (
        Rule(
            cel=f"self.metadata.name.matches('{_NAME}')",
            holds=lambda pattern: re.search(_NAME, pattern.name) is not None,
            message="{metadata.name} is no name for a pattern: at most 63 lower-case letters,"
            " digits and dashes, from a letter to a letter or digit, as its Service needs it",
            at="metadata.name",
        ),
    )

    kind: Literal["PrismPattern"]
    spec: PrismPatternSpec
    status: PrismPatternStatus = PrismPatternStatus()
