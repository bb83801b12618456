"""What a stack's proxy is made of."""

from __future__ import annotations

from prism_operator.api.meta import Json
from prism_operator.api.stack import PrismStack
from prism_operator.planning.labels import admins_of, proxy_labels, proxy_selector
from prism_operator.planning.names import admin_name, proxy_name
from prism_operator.planning.observability import observability_env
from prism_operator.planning.proximity import backends_near_stack
from prism_operator.planning.resources.budget import build_budget, needs_budget
from prism_operator.planning.resources.deployment import build_deployment
from prism_operator.planning.resources.pod_template import Workload, metrics_port_in
from prism_operator.planning.resources.service import build_service
from prism_operator.planning.settings import Settings


def proxy_objects(stack: PrismStack, settings: Settings) -> list[Json]:
    """The proxy's Service, PodDisruptionBudget and Deployment."""
    proxy, name = stack.spec.proxy, proxy_name(stack.name)
    env: list[Json] = [{"name": "PRISM_PORT", "value": str(proxy.port)}]
    admin = stack.spec.enabled_admin
    if admin is not None:
        address = f"{admin_name(stack.name)}.{stack.namespace}.svc:{admin.service_port}"
        env.append({"name": "PRISM_ADMIN_ADDRESS", "value": address})
    env += observability_env(stack, name)
    workload = Workload(
        name=name,
        namespace=stack.namespace,
        labels=proxy_labels(stack.name),
        selector=proxy_selector(stack.name),
        component=proxy,
        container="prism-proxy",
        image=proxy.image or settings.proxy_image,
        port=proxy.port,
        metrics_port=metrics_port_in([*env, *proxy.env]),
        resources=stack.spec.resources_of(proxy),
        affinity=stack.spec.affinity_of(proxy),
        replicas=proxy.initial_replicas,
        role="prism-proxy",
        near=backends_near_stack(stack),
        apart_from=admins_of(stack.name),
        env=env,
        image_pull_secrets=stack.spec.image_pull_secrets,
        service_account=proxy.service_account_name,
    )
    budget = proxy.pod_disruption_budget
    return [
        build_service(workload, proxy.service, proxy.service_port),
        *(
            [build_budget(workload, budget.max_unavailable)]
            if budget.enabled and needs_budget(workload)
            else []
        ),
        build_deployment(workload),
    ]
