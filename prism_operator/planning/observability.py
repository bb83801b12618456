"""How tracing and metrics settings reach the containers: as environment."""

from __future__ import annotations

from prism_operator.api.meta import Json
from prism_operator.api.stack import PrismStack
from prism_operator.planning.resources.pod_template import METRICS_PORT_VARIABLE


def observability_env(stack: PrismStack, component: str) -> list[Json]:
    """The variables for a component; none while observability is off.

    ``OTEL_*`` are those of the OpenTelemetry specification ("Environment Variable Specification").
    """
    section = stack.spec.enabled_observability
    if section is None:
        return []
    variables = {METRICS_PORT_VARIABLE: str(section.metrics.port)}
    if section.tracing.endpoint is not None:
        variables |= {
            "OTEL_SERVICE_NAME": component,
            "OTEL_RESOURCE_ATTRIBUTES": (
                f"service.namespace={stack.name},k8s.namespace.name={stack.namespace}"
            ),
            "OTEL_EXPORTER_OTLP_ENDPOINT": section.tracing.endpoint,
        }
    return [{"name": name, "value": value} for name, value in variables.items()]
