"""The plan for a PrismPattern: its Deployment, Service and configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    PRISM_STACK,
    SERVICE,
    Json,
    Ref,
    ref_of,
)
from prism_operator.api.pattern import PrismPattern
from prism_operator.api.validation import InvalidObject, Problem
from prism_operator.planning.autoscaling.decision import SCALER_KINDS, Scaling, Target, decide
from prism_operator.planning.children import Children, finished, own, plan_children
from prism_operator.planning.conclusion import Findings, conclude, refuse
from prism_operator.planning.conditions import PLACEMENT_REFUSED, Condition
from prism_operator.planning.connection import Connection, connect, resolve_connection
from prism_operator.planning.hashing import PodHashes, pod_hashes
from prism_operator.planning.labels import (
    STACK_LABEL,
    admins_of,
    pattern_labels,
    pattern_selector,
    selector_text,
)
from prism_operator.planning.memo import parsed, remembered
from prism_operator.planning.names import (
    CONFIG_HASH_ANNOTATION,
    SECRET_HASH_ANNOTATION,
    TLS_HASH_ANNOTATION,
    config_map_name,
    is_paused,
)
from prism_operator.planning.observed import Observed, Snapshot
from prism_operator.planning.partitions import remarks_on_partitions
from prism_operator.planning.placement import refused_placement
from prism_operator.planning.placement_verdict import Placed, placement_conditions
from prism_operator.planning.plan import Plan
from prism_operator.planning.proximity import backend_near_pattern
from prism_operator.planning.remarks import remarks_on
from prism_operator.planning.resources.budget import build_budget
from prism_operator.planning.resources.config_map import (
    CONFIG_DIRECTORY,
    CONFIG_FILE,
    build_config_map,
)
from prism_operator.planning.resources.deployment import build_deployment, without_replicas
from prism_operator.planning.resources.pod_template import Workload, metrics_port_in
from prism_operator.planning.resources.service import build_service
from prism_operator.planning.rollout import judge_rollout, workload_status
from prism_operator.planning.secrecy import paths_with_user_information
from prism_operator.planning.settings import Settings
from prism_operator.planning.verdict import failed

_KINDS: Final = frozenset({DEPLOYMENT, SERVICE, CONFIG_MAP, POD_DISRUPTION_BUDGET}) | SCALER_KINDS
_HASHED_SINCE: Final = frozenset({TLS_HASH_ANNOTATION})
_CONFIG_VOLUME: Final = "config"


def plan_pattern(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """What to write so that the pattern runs as its spec says, and what to say about it."""
    obj, cluster = observed.obj, observed.cluster
    if obj["metadata"].get("deletionTimestamp") or _is_left_behind(obj, cluster):
        return Plan(ref_of(obj))
    try:
        pattern = parsed(obj, PrismPattern)
        _refuse_credentials(pattern)
    except InvalidObject as error:
        return refuse(observed, error, now)

    name = pattern.name
    deployment_ref = Ref(DEPLOYMENT, pattern.namespace, name)
    live = own(cluster.get(deployment_ref), obj)
    connection = resolve_connection(pattern, cluster)
    conditions = [
        connection.condition,
        *remarks_on({"spec": pattern.spec}),
        *remarks_on_partitions(pattern, connection.backend),
    ]
    refused = refused_placement(pattern.spec, privileged=settings.allow_privileged_placement)
    scaling = Scaling()
    if refused is None:
        scaling = decide(obj, _target(pattern), cluster)
        hashed = _hashed(pattern, connection, cluster)
        hashes = pod_hashes(settings.hash_key, hashed, live, since=_HASHED_SINCE)
        yielded = scaling.yielded
        desired = _desired(obj, connection.backend, settings, hashes, yielded is not None)
        children = plan_children(
            obj,
            [*desired, *scaling.objects],
            cluster,
            kinds=_KINDS,
            kept=scaling.kept,
            yielded={} if yielded is None else {deployment_ref: yielded},
            needs={deployment_ref: Ref(CONFIG_MAP, pattern.namespace, config_map_name(name))},
        )
        conditions += placement_conditions([_placed(pattern, desired, connection)], cluster)
        settled = deployment_ref not in children.unsettled
        verdict = judge_rollout("", live, settled=settled, replicas=pattern.spec.initial_replicas)
    else:
        children = Children()
        conditions.append(Condition(PLACEMENT_REFUSED, "True", "PlacementNotAllowed", refused))
        verdict = failed("", "PlacementNotAllowed", refused)
    return conclude(
        observed,
        Findings(
            children=children,
            verdicts=[verdict],
            ready_reason="DeploymentReady",
            ready_message="Pattern runner is healthy",
            announce_ready=False,
            status_fields={
                **workload_status(live),
                "selector": selector_text(pattern_selector(name)),
            },
            conditions=[*conditions, *scaling.conditions],
            degraded_by=[
                *(c for c in (connection.condition,) if c.status == "False"),
                *scaling.degraded_by,
            ],
            paused_by=_paused_by(pattern, cluster),
        ),
        now,
    )


@remembered(entries=128)
def _desired(
    obj: Json, backend: Json | None, settings: Settings, hashes: PodHashes, scaled: bool
) -> list[Json]:
    """The objects the pattern should have, as they are written, but for its scaler.

    ``scaled`` says that somebody else decides about the number of replicas.
    """
    pattern = parsed(obj, PrismPattern)
    spec, name, namespace = pattern.spec, pattern.name, pattern.namespace
    stack = _stack_of(pattern)
    labels = pattern_labels(name, spec.pattern, spec.backend, stack)
    connection = connect(pattern, backend)
    content = _config_content(pattern)
    env: list[Json] = [{"name": "PRISM_PORT", "value": str(spec.port)}]
    volumes, mounts = list(connection.volumes), list(connection.volume_mounts)
    objects: list[Json] = []
    if content:
        config_map = config_map_name(name)
        objects.append(build_config_map(config_map, namespace, labels, content))
        env.append({"name": "PRISM_CONFIG_FILE", "value": CONFIG_FILE})
        volumes.append({"name": _CONFIG_VOLUME, "configMap": {"name": config_map}})
        mounts.append({"name": _CONFIG_VOLUME, "mountPath": CONFIG_DIRECTORY, "readOnly": True})
    workload = Workload(
        name=name,
        namespace=namespace,
        labels=labels,
        selector=pattern_selector(name),
        component=spec,
        container=f"{spec.pattern}-runner",
        image=spec.image or settings.runner_image.format(pattern=spec.pattern),
        port=spec.port,
        metrics_port=metrics_port_in(spec.env),
        resources=spec.effective_resources,
        affinity=spec.effective_placement.affinity,
        replicas=spec.initial_replicas,
        role="prism-runner",
        near=backend_near_pattern(pattern, backend),
        apart_from=admins_of(stack),
        args=(f"--pattern={spec.pattern}", f"--backend={spec.backend}"),
        env=[*env, *connection.env],
        image_pull_secrets=spec.image_pull_secrets,
        service_account=spec.service_account_name,
        template_annotations=dict(hashes.template),
        volumes=volumes,
        volume_mounts=mounts,
    )
    # A runner can be missed: only on nodes that come and go it needs a budget.
    if spec.effective_placement.strategy == "Spot":
        objects.append(build_budget(workload, 1))
    deployment = build_deployment(workload)
    if hashes.deployment:
        deployment["metadata"]["annotations"] = dict(hashes.deployment)
    objects.append(without_replicas(deployment) if scaled else deployment)
    if spec.service is not None:
        objects.append(build_service(workload, spec.service, spec.service.port))
    return [finished(made, obj) for made in objects]


def _placed(pattern: PrismPattern, desired: list[Json], connection: Connection) -> Placed:
    spec = pattern.spec
    deployment = next(made for made in desired if made["kind"] == DEPLOYMENT.kind)
    return Placed(
        "spec",
        deployment,
        spec.effective_placement.strategy,
        spec.least_replicas,
        has_backend=bool(backend_near_pattern(pattern, connection.backend)),
    )


@remembered(entries=128)
def _target(pattern: PrismPattern) -> Target:
    spec = pattern.spec
    labels = pattern_labels(pattern.name, spec.pattern, spec.backend, _stack_of(pattern))
    return Target(Ref(DEPLOYMENT, pattern.namespace, pattern.name), spec, labels, "spec")


def _config_content(pattern: PrismPattern) -> Json:
    """What the configuration file says; empty when there is nothing to say."""
    spec = pattern.spec
    inline = spec.backend_config.inline if spec.backend_config is not None else {}
    sections = {"config": spec.config, "backendConfig": inline}
    return {section: content for section, content in sections.items() if content}


def _refuse_credentials(pattern: PrismPattern) -> None:
    found = [
        path
        for section, content in _config_content(pattern).items()
        for path in paths_with_user_information(content, f"spec.{section}")
    ]
    if found:
        told = (
            "a URL holds a user name or password, which would be readable in a ConfigMap: "
            "move it to a Secret and hand it over by env with valueFrom.secretKeyRef"
        )
        raise InvalidObject([Problem(path, told) for path in found])


def _hashed(
    pattern: PrismPattern, connection: Connection, cluster: Snapshot
) -> dict[str, Json | None]:
    """What rolls the pods when it changes: the used keys of Secrets and the configuration."""
    hashed: dict[str, Json | None] = {}
    if connection.secret is not None:
        secret = cluster.get(connection.secret)
        data = None if secret is None else secret.get("data") or {}
        used = (key for key in connection.secret_keys if data is not None and key in data)
        hashed[SECRET_HASH_ANNOTATION] = None if data is None else {key: data[key] for key in used}
    if connection.tls_secret is not None:
        secret = cluster.get(connection.tls_secret)
        hashed[TLS_HASH_ANNOTATION] = None if secret is None else secret.get("data") or {}
    if content := _config_content(pattern):
        hashed[CONFIG_HASH_ANNOTATION] = content
    return hashed


def _stack_of(pattern: PrismPattern) -> str | None:
    """The stack that made the pattern; its label outlives an orphaning deletion of the stack."""
    return pattern.metadata.labels.get(STACK_LABEL)


def _is_left_behind(obj: Json, cluster: Snapshot) -> bool:
    """Whether the stack that owns the pattern is gone, so that the garbage collector comes for it.

    Its backends may go first, and rolling the pods for that would be their last hour's work. A
    pattern that shall outlive its stack loses its owner reference before the stack goes.
    """
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == PRISM_STACK.kind:
            stack = cluster.get(Ref(PRISM_STACK, obj["metadata"]["namespace"], owner["name"]))
            is_gone = stack is None or stack["metadata"]["uid"] != owner["uid"]
            return is_gone and cluster.can_read(PRISM_STACK)
    return False


def _paused_by(pattern: PrismPattern, cluster: Snapshot) -> str | None:
    """Who pauses the pattern: it itself, or the stack that owns it."""
    if pattern.is_paused:
        return "this object"
    for owner in pattern.metadata.owner_references:
        if owner.get("controller") and owner["kind"] == PRISM_STACK.kind:
            stack = cluster.get(Ref(PRISM_STACK, pattern.namespace, owner["name"]))
            if stack is not None and is_paused(stack):
                return f"PrismStack {owner['name']}"
    return None
