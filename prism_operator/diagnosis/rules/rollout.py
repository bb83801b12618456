"""Rollouts that take their time, are stuck, or have not begun."""

from __future__ import annotations

from collections.abc import Iterator

from prism_operator.diagnosis.facts import Facts, condition_of, prism_objects, since_of
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.workloads import ready_link, workloads
from prism_operator.planning.names import admin_name, proxy_name


def missing_deployments(facts: Facts) -> Iterator[tuple[str, str]]:
    """The Deployments and patterns there should be and are not, by kind and name.

    None when they could not be read.
    """
    for obj in prism_objects(facts):
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        wanted: list[tuple[str, str]] = []
        if obj["kind"] == "PrismPattern":
            wanted = [("Deployment", name)]
        elif obj["kind"] == "PrismStack":
            wanted = [("Deployment", proxy_name(name))]
            admin = obj["spec"].get("admin")
            if admin is not None and admin.get("enabled", True):
                wanted.append(("Deployment", admin_name(name)))
            wanted += [("PrismPattern", p["name"]) for p in obj["spec"].get("patterns") or ()]
        for kind, needed in wanted:
            if not facts.could_not_read(kind) and facts.get(kind, namespace, needed) is None:
                yield kind, needed


def find_missing_deployments(facts: Facts) -> Iterator[Finding]:
    """What should be there is not, and nothing else says why."""
    missing = [f"{kind} {name}" for kind, name in missing_deployments(facts)]
    if missing:
        namespace = facts.subject["metadata"]["namespace"]
        yield Finding(
            "NotCreatedYet",
            f"{', '.join(missing)} {'does' if len(missing) == 1 else 'do'} not exist yet",
            (ready_link(facts.subject),),
            Remedy(
                "Ask again in a few seconds; if it stays so, look at the operator's log",
                (f"kubectl get deployments -n {namespace}",),
            ),
        )


def find_stuck_rollout(facts: Facts) -> Iterator[Finding]:
    """A rollout makes no progress within its deadline."""
    for workload in workloads(facts):
        progress = condition_of(workload.deployment, "Progressing")
        if progress is None or progress.get("reason") != "ProgressDeadlineExceeded":
            continue
        deadline_s = workload.deployment["spec"].get("progressDeadlineSeconds", 600)
        what = f"Progressing is {progress['status']} ({progress['reason']})"
        link = Evidence(f"Deployment {workload.name}", what, since_of(progress))
        yield Finding(
            "ProgressDeadlineExceeded",
            f"the rollout of Deployment {workload.name} made no progress for {deadline_s} s",
            (*workload.trail, link),
            Remedy(
                "See what its pods wait for",
                (f"kubectl describe deployment {workload.name} -n {workload.namespace}",),
            ),
            about=workload.name,
        )


def find_rollout_under_way(facts: Facts) -> Iterator[Finding]:
    """A rollout is not over, and nothing is wrong with it as far as can be seen."""
    for workload in workloads(facts):
        status = workload.deployment.get("status") or {}
        updated = status.get("updatedReplicas", 0)
        seen = status.get("observedGeneration", 0) >= workload.deployment["metadata"]["generation"]
        old = status.get("replicas", 0) - updated
        if (
            seen
            and updated >= workload.replicas
            and old <= 0
            and (workload.available >= workload.replicas)
        ):
            continue
        text = f"{workload.available} of {workload.replicas} replicas are available"
        if old > 0:
            text += f", and {old} old replicas are still there"
        command = f"kubectl rollout status deployment/{workload.name} -n {workload.namespace}"
        yield Finding(
            "RolloutInProgress",
            f"Deployment {workload.name} is rolling out: {text}",
            workload.trail,
            Remedy("Wait", (command,)),
            about=workload.name,
        )
