"""What a stack's admin is made of, and how its replicas elect a leader."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json
from prism_operator.api.stack import AdminSpec, PrismStack
from prism_operator.planning.labels import admin_labels, admin_selector, data_plane_of
from prism_operator.planning.names import admin_election_name, admin_lease_name, admin_name
from prism_operator.planning.observability import observability_env
from prism_operator.planning.proximity import backends_near_stack
from prism_operator.planning.resources.budget import (
    build_budget,
    needs_budget,
    spared_by_quorum,
)
from prism_operator.planning.resources.deployment import build_deployment
from prism_operator.planning.resources.pod_template import Workload, metrics_port_in
from prism_operator.planning.resources.rbac import (
    build_election_role,
    build_election_role_binding,
)
from prism_operator.planning.resources.service import build_service
from prism_operator.planning.resources.service_account import build_service_account
from prism_operator.planning.settings import Settings

_TLS_DIRECTORY: Final = "/etc/prism-tls"
_TLS_VOLUME: Final = "tls"


def admin_objects(stack: PrismStack, admin: AdminSpec, settings: Settings) -> list[Json]:
    """The admin's access rights, Service, PodDisruptionBudget and Deployment.

    The rights come first, so that pods find them.
    """
    name, namespace, labels = admin_name(stack.name), stack.namespace, admin_labels(stack.name)
    account = admin.service_account_name or name
    env = [
        {"name": "PRISM_PORT", "value": str(admin.port)},
        *_election_env(stack, admin),
        *observability_env(stack, name),
    ]
    volumes, mounts = [], []
    if admin.tls is not None and admin.tls.enabled:
        env.append({"name": "PRISM_TLS_ENABLED", "value": "true"})
        if admin.tls.secret_ref is not None:
            env.append({"name": "PRISM_TLS_DIR", "value": _TLS_DIRECTORY})
            volumes = [{"name": _TLS_VOLUME, "secret": {"secretName": admin.tls.secret_ref.name}}]
            mounts = [{"name": _TLS_VOLUME, "mountPath": _TLS_DIRECTORY, "readOnly": True}]
    workload = Workload(
        name=name,
        namespace=namespace,
        labels=labels,
        selector=admin_selector(stack.name),
        component=admin,
        container="prism-admin",
        image=admin.image or settings.admin_image,
        port=admin.port,
        metrics_port=metrics_port_in([*env, *admin.env]),
        resources=stack.spec.resources_of(admin),
        affinity=stack.spec.affinity_of(admin),
        replicas=admin.initial_replicas,
        role="prism-admin",
        near=backends_near_stack(stack),
        apart_from=data_plane_of(stack.name),
        env=env,
        image_pull_secrets=stack.spec.image_pull_secrets,
        service_account=account,
        needs_api_access=True,
        volumes=volumes,
        volume_mounts=mounts,
    )
    rights: list[Json] = []
    if admin.service_account_name is None:
        rights.append(build_service_account(name, namespace, labels))
    if admin.leader_election.enabled:
        election, lease = admin_election_name(stack.name), admin_lease_name(stack.name)
        rights += [
            build_election_role(election, namespace, labels, lease),
            build_election_role_binding(election, namespace, labels, account),
        ]
    spared = spared_by_quorum(admin.replicas)
    return [
        *rights,
        build_service(workload, admin.service, admin.service_port),
        *([build_budget(workload, spared)] if needs_budget(workload) else []),
        build_deployment(workload),
    ]


def _election_env(stack: PrismStack, admin: AdminSpec) -> list[Json]:
    election = admin.leader_election
    if not election.enabled:
        return [{"name": "PRISM_LEADER_ELECTION_ENABLED", "value": "false"}]
    settings = {
        "ENABLED": "true",
        "LEASE_NAME": admin_lease_name(stack.name),
        "LEASE_NAMESPACE": stack.namespace,
        "LEASE_DURATION": election.lease_duration,
        "RENEW_DEADLINE": election.renew_deadline,
        "RETRY_PERIOD": election.retry_period,
    }
    env: list[Json] = [
        {"name": f"PRISM_LEADER_ELECTION_{name}", "value": value}
        for name, value in settings.items()
    ]
    identity = {"fieldRef": {"fieldPath": "metadata.name"}}
    return [*env, {"name": "PRISM_LEADER_ELECTION_IDENTITY", "valueFrom": identity}]
