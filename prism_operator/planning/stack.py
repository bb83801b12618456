"""The plan for a PrismStack: proxy, admin, and its patterns, backends and namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prism_operator.api.common import Component
from prism_operator.api.meta import (
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.api.stack import (
    AdminSpec,
    PrismStack,
    StackBackend,
    StackNamespace,
    StackPattern,
)
from prism_operator.api.validation import InvalidObject, Problem
from prism_operator.planning.autoscaling.decision import SCALER_KINDS
from prism_operator.planning.child_health import health_of, judge_child
from prism_operator.planning.children import Children, finished, own, plan_children
from prism_operator.planning.conclusion import Findings, conclude, refuse
from prism_operator.planning.conditions import (
    BACKENDS_HEALTHY,
    NAMESPACES_PROVISIONED,
    PLACEMENT_REFUSED,
    Condition,
)
from prism_operator.planning.memo import parsed, remembered
from prism_operator.planning.monitoring import monitor_stack
from prism_operator.planning.names import admin_name, is_paused, proxy_name
from prism_operator.planning.observability import observability_env
from prism_operator.planning.observed import Observed, Snapshot
from prism_operator.planning.placement import refused_placement
from prism_operator.planning.placement_verdict import Placed, placement_conditions
from prism_operator.planning.plan import Plan
from prism_operator.planning.proximity import backends_near_stack
from prism_operator.planning.remarks import remarks_on
from prism_operator.planning.resources.deployment import without_replicas
from prism_operator.planning.resources.prism_backend import build_prism_backend
from prism_operator.planning.resources.prism_namespace import build_prism_namespace
from prism_operator.planning.resources.prism_pattern import build_prism_pattern
from prism_operator.planning.rollout import IN_PROGRESS, judge_rollout, workload_status
from prism_operator.planning.settings import Settings
from prism_operator.planning.stack_admin import admin_objects
from prism_operator.planning.stack_proxy import proxy_objects
from prism_operator.planning.stack_scaling import conditions_in, scale_stack
from prism_operator.planning.verdict import State, Verdict, failed, progressing

_KINDS: Final = frozenset(
    {
        DEPLOYMENT,
        POD_DISRUPTION_BUDGET,
        POD_MONITOR,
        SERVICE,
        SERVICE_ACCOUNT,
        ROLE,
        ROLE_BINDING,
        PRISM_PATTERN,
        PRISM_BACKEND,
        PRISM_NAMESPACE,
        *SCALER_KINDS,
    }
)


def plan_stack(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """What to write so that the stack is as its spec says, and what to say about it."""
    obj, cluster = observed.obj, observed.cluster
    if obj["metadata"].get("deletionTimestamp"):
        return Plan(ref_of(obj))
    try:
        stack = parsed(obj, PrismStack)
        _refuse_misplaced_secrets(stack)
    except InvalidObject as error:
        return refuse(observed, error, now)

    scalings = scale_stack(stack, obj, settings, cluster)
    yielded = {ref: made.yielded for ref, made in scalings.items() if made.yielded is not None}
    desired = _desired(
        obj,
        settings,
        Ref(DEPLOYMENT, stack.namespace, proxy_name(stack.name)) in yielded,
        Ref(DEPLOYMENT, stack.namespace, admin_name(stack.name)) in yielded,
    )
    monitoring = monitor_stack(stack, obj, cluster)
    scalers = [made for scaling in scalings.values() for made in scaling.objects]
    children = plan_children(
        obj,
        [*desired.objects, *monitoring.objects, *scalers],
        cluster,
        kinds=_KINDS,
        kept=desired.kept.union(*(scaling.kept for scaling in scalings.values())),
        yielded=yielded,
        needs=_needs(desired.objects),
    )
    verdicts, status_fields = _judge(stack, obj, desired, children, cluster)
    conditions = [
        health_of(BACKENDS_HEALTHY, "backend", _children_of(stack, obj, PRISM_BACKEND, cluster)),
        health_of(
            NAMESPACES_PROVISIONED, "namespace", _children_of(stack, obj, PRISM_NAMESPACE, cluster)
        ),
    ]
    return conclude(
        observed,
        Findings(
            children=children,
            verdicts=verdicts,
            ready_reason="ComponentsReady",
            ready_message=_ready_message(stack),
            announce_ready=True,
            status_fields=status_fields,
            conditions=[
                *conditions,
                *conditions_in(scalings.values()),
                *monitoring.conditions,
                *_remarks(stack, desired),
                *placement_conditions(_placed(stack, desired), cluster),
            ],
            degraded_by=[
                *(c for c in conditions if c.status == "False"),
                *(c for scaling in scalings.values() for c in scaling.degraded_by),
            ],
            paused_by="this object" if is_paused(obj) else None,
        ),
        now,
    )


@dataclass(frozen=True, slots=True)
class _Desired:
    """``refused`` says why a component, by its path, is not placed; its objects are in ``kept``."""

    objects: Sequence[Json]
    refused: dict[str, str]
    kept: frozenset[Ref]


def _components(stack: PrismStack) -> dict[str, Component]:
    """The components with a Deployment of the stack's own, by the paths of their fields."""
    components: dict[str, Component] = {"spec.proxy": stack.spec.proxy}
    if stack.spec.enabled_admin is not None:
        components["spec.admin"] = stack.spec.enabled_admin
    return components


@remembered(entries=256)
def _desired(obj: Json, settings: Settings, proxy_scaled: bool, admin_scaled: bool) -> _Desired:
    """The objects the stack should have, as they are written, but for its scalers.

    A component is scaled when somebody else decides about the number of its replicas.
    """
    stack = parsed(obj, PrismStack)
    objects: list[Json] = []
    refused: dict[str, str] = {}
    kept: set[Ref] = set()
    for path, component in _components(stack).items():
        if isinstance(component, AdminSpec):
            made, scaled = admin_objects(stack, component, settings), admin_scaled
        else:
            made, scaled = proxy_objects(stack, settings), proxy_scaled
        if scaled:
            made = [without_replicas(one) for one in made]
        why = refused_placement(component, privileged=settings.allow_privileged_placement)
        if why is None:
            objects += made
        else:
            refused[path] = f"{path}.placement: {why}"
            kept |= {ref_of(kept_object) for kept_object in made}
    given = obj["spec"]
    objects += [
        build_prism_backend(stack, backend, raw)
        for backend, raw in zip(stack.spec.backends, given.get("backends") or (), strict=True)
    ]
    objects += [
        build_prism_pattern(stack, pattern, raw, observability_env(stack, pattern.name))
        for pattern, raw in zip(stack.spec.patterns, given.get("patterns") or (), strict=True)
    ]
    objects += [
        build_prism_namespace(stack, namespace, raw)
        for namespace, raw in zip(stack.spec.namespaces, given.get("namespaces") or (), strict=True)
    ]
    done = [finished(made, obj) for made in objects]
    return _Desired(done, refused, frozenset(kept))


def _needs(desired: Sequence[Json]) -> dict[Ref, Ref]:
    """The backends that patterns refer to."""
    found = {}
    for obj in desired:
        name = (obj["spec"].get("backendConfig") or {}).get("name") if _is_pattern(obj) else None
        if name is not None:
            ref = ref_of(obj)
            found[ref] = Ref(PRISM_BACKEND, ref.namespace, name)
    return found


def _is_pattern(obj: Json) -> bool:
    return bool(obj["kind"] == PRISM_PATTERN.kind)


def _judge(
    stack: PrismStack, obj: Json, desired: _Desired, children: Children, cluster: Snapshot
) -> tuple[list[Verdict], Json]:
    """A verdict for every part that Ready covers, and the status fields that count them."""
    verdicts: list[Verdict] = []
    fields: Json = {}
    names = _deployment_names(stack)
    for path, component in _components(stack).items():
        short = path.removeprefix("spec.")
        ref = Ref(DEPLOYMENT, stack.namespace, names[path])
        live = own(cluster.get(ref), obj)
        fields[short] = workload_status(live)
        if path in desired.refused:
            verdicts.append(failed("", "PlacementNotAllowed", desired.refused[path]))
            continue
        settled = ref not in children.unsettled
        verdicts.append(
            judge_rollout(short, live, settled=settled, replicas=component.initial_replicas)
        )
    patterns = [
        judge_child(f"pattern {ref.name}", live, settled=ref not in children.unsettled)
        for ref, live in _children_of(stack, obj, PRISM_PATTERN, cluster)
    ]
    verdicts += patterns
    total, ready = len(verdicts), sum(verdict.state is State.READY for verdict in verdicts)
    fields |= {
        "patterns": len(patterns),
        "readyPatterns": sum(verdict.state is State.READY for verdict in patterns),
        "summary": f"{ready}/{total}",
    }
    for kind in (PRISM_BACKEND, PRISM_NAMESPACE):
        verdicts += [
            progressing(f"{kind.kind} {ref.name}", IN_PROGRESS, "is not written yet")
            for ref, live in _children_of(stack, obj, kind, cluster)
            if live is None or ref in children.unsettled
        ]
    return verdicts, fields


def _deployment_names(stack: PrismStack) -> dict[str, str]:
    return {"spec.proxy": proxy_name(stack.name), "spec.admin": admin_name(stack.name)}


def _placed(stack: PrismStack, desired: _Desired) -> list[Placed]:
    """The components that are placed, with the Deployments that say how."""
    names = _deployment_names(stack)
    deployments = {o["metadata"]["name"]: o for o in desired.objects if o["kind"] == "Deployment"}
    has_backend = bool(backends_near_stack(stack))
    return [
        Placed(
            path,
            deployments[names[path]],
            component.effective_placement.strategy,
            component.least_replicas,
            has_backend,
        )
        for path, component in _components(stack).items()
        if path not in desired.refused
    ]


def _children_of(
    stack: PrismStack, obj: Json, resource: Resource, cluster: Snapshot
) -> list[tuple[Ref, Json | None]]:
    """The custom resources of a kind that the stack should have, as far as they exist."""
    entries: Sequence[StackPattern | StackBackend | StackNamespace]
    if resource == PRISM_PATTERN:
        entries = stack.spec.patterns
    elif resource == PRISM_BACKEND:
        entries = stack.spec.backends
    else:
        entries = stack.spec.namespaces
    refs = [Ref(resource, stack.namespace, entry.name) for entry in entries]
    return [(ref, own(cluster.get(ref), obj)) for ref in refs]


def _remarks(stack: PrismStack, desired: _Desired) -> list[Condition]:
    remarks = remarks_on(_components(stack))
    if desired.refused:
        refused = "; ".join(desired.refused.values())
        remarks.append(Condition(PLACEMENT_REFUSED, "True", "PlacementNotAllowed", refused))
    return remarks


def _ready_message(stack: PrismStack) -> str:
    parts = [path.removeprefix("spec.") for path in _components(stack)]
    if stack.spec.patterns:
        count = len(stack.spec.patterns)
        parts.append(f"{count} pattern{'s' if count > 1 else ''}")
    return f"rolled out: {', '.join(parts)}"


def _refuse_misplaced_secrets(stack: PrismStack) -> None:
    """Refuses what asks pods for a secret that is out of their reach."""
    admin = stack.spec.enabled_admin
    secret_ref = admin.tls.secret_ref if admin is not None and admin.tls is not None else None
    if secret_ref is not None and secret_ref.namespace not in (None, stack.namespace):
        told = f"is not {stack.namespace}: pods mount Secrets of their own namespace only"
        raise InvalidObject([Problem("spec.admin.tls.secretRef.namespace", told)])
