"""Why one pod is not ready: a table of rules, of which the first that answers is the root.

Reasons and messages are the kubelet's (``pkg/kubelet``), the scheduler's and the node controller's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.diagnosis.ages import parse_time
from prism_operator.diagnosis.facts import (
    Facts,
    condition_of,
    event_time,
    is_condition,
    shown,
    since_of,
)
from prism_operator.diagnosis.findings import Evidence, Remedy
from prism_operator.diagnosis.workloads import Workload


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one pod suffers from; pods of one ``reason`` and ``key`` are told of together.

    ``around`` is what stands before and after a text like "2 of 3 pods of Deployment x".
    """

    reason: str
    key: str
    around: tuple[str, str]
    what: str
    since: datetime | None
    remedy: Remedy
    more: tuple[Evidence, ...] = ()
    is_placement: bool = False


PodRule: TypeAlias = Callable[[Json, Workload, Facts], Trouble | None]

_IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_START: Final = frozenset(
    {"RunContainerError", "StartError", "ContainerCannotRun", "PostStartHookError"}
)
_BEFORE_START: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
_SANDBOX: Final = frozenset(
    {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"}
)
_EXITS: Final = {
    126: "its command cannot be executed",
    127: "its command is not found",
    134: "SIGABRT",
    137: "SIGKILL: from outside, or a failed liveness probe",
    139: "SIGSEGV: the program has a bug, or the image is for another CPU",
    143: "SIGTERM",
}
_MISSING: Final = re.compile(r'(secret|configmap) "([^"]+)" not found')
_MISSING_KEY: Final = re.compile(
    r"couldn't find key (\S+) in (Secret|ConfigMap) (?:(\S+)/)?([^\s/]+)"
)
# What the scheduler counts, what to do about it, and how to look at it.
_UNSCHEDULABLE: Final = (
    (
        "Insufficient ",
        "lower {path}.resources or add nodes",
        'kubectl describe nodes | grep -A 5 "Allocated resources"',
    ),
    (
        "didn't match Pod's node affinity/selector",
        "label nodes, or correct the nodeSelector or affinity of {path}",
        "kubectl get nodes --show-labels",
    ),
    (
        "untolerated taint",
        "add tolerations to {path}, or remove the taint",
        "kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints",
    ),
    (
        "topology spread constraints",
        "add nodes in the domains that are missing, or relax the spread of {path}",
        "kubectl get nodes -L topology.kubernetes.io/zone",
    ),
    (
        "anti-affinity",
        "add nodes, lower {path}.replicas, or prefer instead of require",
        "kubectl get pods -o wide -n {namespace}",
    ),
    ("were unschedulable", "uncordon nodes or add some", "kubectl uncordon {cordoned}"),
    ("no nodes available", "add nodes", "kubectl get nodes"),
)


def on_lost_node(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """Its node is not ready, or is gone."""
    del workload
    name = pod["spec"].get("nodeName")
    if not name or facts.could_not_read("Node"):
        return None
    node = facts.get("Node", "", name)
    if node is None:
        return Trouble(
            "NodeGone",
            name,
            (f"node {name} does not exist any more, which held ", ""),
            f"runs on node {name}, which is gone",
            None,
            Remedy(
                "Wait for the pods to be made anew elsewhere, or delete those that stay",
                ("kubectl get nodes",),
            ),
        )
    ready = condition_of(node, "Ready")
    if ready is None or ready["status"] == "True":
        return None
    told = f"{ready.get('reason', '')}: {ready.get('message', '')}".strip(": .")
    taints = [f"{t['key']}:{t['effect']}" for t in node["spec"].get("taints") or ()]
    links = [Evidence(f"Node {name}", f"Ready is {ready['status']} ({told})", since_of(ready))]
    if taints:
        links.append(Evidence(f"Node {name}", f"taints: {shown(taints)}"))
    return Trouble(
        "NodeNotReady",
        name,
        (f"node {name} is not ready ({told}), which holds ", ""),
        f"runs on node {name}",
        None,
        Remedy(
            "Bring the node back, or delete it: its pods are made anew elsewhere after 5 minutes",
            (f"kubectl describe node {name}",),
        ),
        tuple(links),
    )


def ended(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """It was evicted, preempted, or ended with its node."""
    del facts
    status = pod.get("status") or {}
    if status.get("phase") not in ("Failed", "Succeeded"):
        return None
    reason, message = status.get("reason") or status["phase"], status.get("message", "")
    told = f"{reason}: {message}" if message else reason
    name = pod["metadata"]["name"]
    return Trouble(
        f"Pod{reason}",
        reason,
        ("", f" have ended: {told}"),
        told,
        None,
        Remedy(
            "See what the node is short of",
            (f"kubectl describe pod {name} -n {workload.namespace}",),
        ),
    )


def unscheduled(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """No node takes it."""
    if pod["spec"].get("nodeName"):
        return None
    condition = condition_of(pod, "PodScheduled") or {}
    message = condition.get("message", "")
    name, namespace = pod["metadata"]["name"], workload.namespace
    if condition.get("reason") == "SchedulingGated":
        gates = shown(g["name"] for g in pod["spec"].get("schedulingGates") or ())
        return Trouble(
            "SchedulingGated",
            gates,
            (f"the scheduling gates {gates} hold back ", ""),
            f"SchedulingGated: {gates}",
            since_of(condition),
            Remedy("Whoever set the gates has to remove them"),
        )
    if condition.get("status") != "False":
        return None  # not looked at yet
    cordoned = [
        n["metadata"]["name"] for n in facts.of_kind("Node") if n["spec"].get("unschedulable")
    ]
    matched = [
        (text, command)
        for words, text, command in _UNSCHEDULABLE
        if words in message and ("{cordoned}" not in command or cordoned)
    ]
    fill = {"path": workload.path, "namespace": namespace, "cordoned": " ".join(cordoned[:3])}
    texts = [text.format(**fill) for text, _ in matched]
    commands = [command.format(**fill) for _, command in matched]
    remedy = Remedy(
        _upper("; or ".join(texts)) if texts else "See what the scheduler says",
        (*commands, workload.edit) if texts else (f"kubectl describe pod {name} -n {namespace}",),
    )
    links = [Evidence(f"Node {node}", "is cordoned") for node in cordoned[:3]]
    said = re.sub(r"\s*preemption: .*", "", message).strip()
    return Trouble(
        "Unschedulable",
        said,
        ("no node takes ", f": {said}"),
        f"Unschedulable: {message}",
        since_of(condition),
        remedy,
        tuple(links) if "were unschedulable" in message else (),
        is_placement=True,
    )


def without_image(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """An image cannot be had."""
    for what, status, waiting in _waiting(pod, _IMAGE):
        image, reason = status["image"], waiting["reason"]
        detail = _pull_error(pod, waiting, facts)
        secrets = [s["name"] for s in pod["spec"].get("imagePullSecrets") or () if s.get("name")]
        hint = (
            f"correct {workload.path}.image, or let the nodes pull it "
            f"(imagePullSecrets: {shown(secrets) or 'none'})"
        )
        if reason == "ErrImageNeverPull":
            hint = f"load the image onto the nodes, or change {workload.path}.imagePullPolicy"
        name = pod["metadata"]["name"]
        return Trouble(
            "ImagePull",
            f"{what} {image}",
            _in(f'image "{image}" of {what} cannot be pulled ({detail})'),
            f"{what} waits: {reason}: {waiting.get('message', '')}".rstrip(": "),
            None,
            Remedy(
                _upper(hint),
                (workload.edit, f"kubectl describe pod {name} -n {workload.namespace}"),
            ),
        )
    return None


def without_configuration(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A Secret or ConfigMap that a container needs is missing."""
    del facts
    for what, _, waiting in _waiting(pod, _CONFIG):
        message = waiting.get("message", "")
        said, remedy = _missing_reference(message, workload)
        return Trouble(
            "ConfigMissing" if said else "CreateContainer",
            f"{what} {said or message}",
            _in(f"{what} cannot be created: {said or message}"),
            f"{what} waits: {waiting['reason']}: {message}",
            None,
            remedy,
        )
    return None


def out_of_memory(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A container was killed for using more memory than its limit."""
    del facts
    for what, status, spec in _containers(pod):
        if status.get("ready"):
            continue
        killed = _terminated(status)
        if killed is None or killed.get("reason") != "OOMKilled":
            continue
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        over = f"its limit of {limit}" if limit else "its node has"
        return Trouble(
            "OOMKilled",
            what,
            _in(f"{what} is killed for using more memory than {over} (OOMKilled)"),
            f"{what} was OOMKilled, {_times(status)}",
            parse_time(killed.get("finishedAt")),
            Remedy(f"Raise {workload.path}.resources.limits.memory", (workload.edit,)),
        )
    return None


def crashing(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A container ends again and again."""
    del facts
    name = pod["metadata"]["name"]
    for what, status, _ in _containers(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        done = (status.get("state") or {}).get("terminated")
        is_init = what.startswith("init ")
        if is_init and done is not None and done.get("exitCode") == 0:
            continue
        if waiting.get("reason") != "CrashLoopBackOff" and done is None:
            continue
        last = _terminated(status) or {}
        code = last.get("exitCode")
        ends = "keeps ending" if waiting else "has ended"
        how = f"{ends} with exit code {code}" if code is not None else ends
        if hint := _EXITS.get(code or 0):
            how += f" ({hint})"
        said = " ".join(str(last.get("message") or "").split())
        if said:
            how += f', and said last: "{said[-200:]}"'
        state = waiting.get("reason") or last.get("reason", "Terminated")
        return Trouble(
            "CrashLoop",
            f"{what} {code}",
            _in(f"{what} {how} [{state}]"),
            f"{what}: {state}, {_times(status)}",
            parse_time(last.get("finishedAt")),
            Remedy(
                "Read what it said before it ended",
                (f"kubectl logs {name} -c {status['name']} --previous -n {workload.namespace}",),
            ),
        )
    return None


def not_starting(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A container cannot be started, or its volumes or network not be made."""
    for what, _, waiting in _waiting(pod, _START):
        message = waiting.get("message", "")
        return Trouble(
            "CannotStart",
            f"{what} {message}",
            _in(f"{what} cannot start: {message or waiting['reason']}"),
            f"{what} waits: {waiting['reason']}: {message}",
            None,
            Remedy(f"Correct the command or securityContext of {workload.path}", (workload.edit,)),
        )
    if not pod["spec"].get("nodeName") or not _is_before_start(pod):
        return None
    for event in facts.events_about(pod):
        if event.get("reason") in _SANDBOX:
            message = event["message"]
            said, remedy = _missing_reference(message, workload)
            return Trouble(
                str(event["reason"]),
                said or message,
                ("what ", f" need cannot be made: {said or message}"),
                f"{event['reason']}: {message}",
                event_time(event),
                remedy,
            )
    return None


def failing_probe(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A container runs and fails its startup, readiness or liveness probe."""
    name = pod["metadata"]["name"]
    said = next((e for e in facts.events_about(pod) if e.get("reason") == "Unhealthy"), None)
    for what, status, spec in _containers(pod):
        running = (status.get("state") or {}).get("running")
        if running is None or status.get("ready") or what.startswith("init "):
            continue
        probe = "startup" if "startupProbe" in spec and not status.get("started") else "readiness"
        if said is None:
            continue
        return Trouble(
            "ProbeFailing",
            f"{what} {probe}",
            _in(f"{what} runs, but its {probe} probe fails: {said['message']}"),
            f"{what} is not ready; Unhealthy: {said['message']}",
            event_time(said),
            Remedy(
                f"See what the container waits for; or correct {workload.path}.probes",
                (f"kubectl logs {name} -c {status['name']} -n {workload.namespace}",),
            ),
        )
    return None


def behind_gate(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """A readiness gate that somebody else sets is not true."""
    del facts, workload
    if not is_condition(pod, "ContainersReady", "True"):
        return None
    gates = [
        gate["conditionType"]
        for gate in pod["spec"].get("readinessGates") or ()
        if not is_condition(pod, gate["conditionType"], "True")
    ]
    if not gates:
        return None
    return Trouble(
        "ReadinessGate",
        shown(gates),
        (f"the readiness gates {shown(gates)} hold back ", ""),
        f"readiness gates that are not true: {shown(gates)}",
        None,
        Remedy("Whoever sets these conditions has to do so"),
    )


def starting(pod: Json, workload: Workload, facts: Facts) -> Trouble | None:
    """Nothing is wrong that can be seen: it has not become ready yet."""
    del facts
    node = pod["spec"].get("nodeName")
    name = pod["metadata"]["name"]
    describe = f"kubectl describe pod {name} -n {workload.namespace}"
    if not node:
        scheduler = pod["spec"].get("schedulerName", "default-scheduler")
        return Trouble(
            "NotScheduledYet",
            "",
            ("the scheduler has not looked at ", " yet"),
            "no PodScheduled condition",
            None,
            Remedy(
                f"Ask again in a few seconds; if it stays so, look at the scheduler {scheduler}",
                (describe,),
            ),
        )
    for what, status, _ in _containers(pod):
        if (status.get("state") or {}).get("running") is not None and not status.get("ready"):
            return Trouble(
                "NotReadyYet",
                what,
                _in(f"{what} runs and is not ready yet"),
                f"{what} runs, not ready",
                parse_time(status["state"]["running"].get("startedAt")),
                Remedy(
                    "See what the container waits for",
                    (f"kubectl logs {name} -c {status['name']} -n {workload.namespace}",),
                ),
            )
    return Trouble(
        "ContainersNotStarted",
        "",
        ("the kubelets have not started the containers of ", " yet"),
        f"is {(pod.get('status') or {}).get('phase', 'Pending')} on node {node}",
        None,
        Remedy("Ask again in a few seconds; if it stays so, look at the node", (describe,)),
    )


POD_RULES: Final[tuple[PodRule, ...]] = (
    on_lost_node,
    ended,
    unscheduled,
    without_image,
    without_configuration,
    not_starting,
    out_of_memory,
    crashing,
    failing_probe,
    behind_gate,
    starting,
)


def _containers(pod: Json) -> Iterator[tuple[str, Json, Json]]:
    """Init containers, then containers: what to call it, its status and its spec."""
    for field, statuses, prefix in (
        ("initContainers", "initContainerStatuses", "init "),
        ("containers", "containerStatuses", ""),
    ):
        specs = {c["name"]: c for c in pod["spec"].get(field) or ()}
        for status in (pod.get("status") or {}).get(statuses) or ():
            yield f"{prefix}container {status['name']}", status, specs.get(status["name"], {})


def _waiting(pod: Json, reasons: frozenset[str]) -> Iterator[tuple[str, Json, Json]]:
    for what, status, _ in _containers(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in reasons:
            yield what, status, waiting


def _terminated(status: ReadOnlyJson) -> Json | None:
    """How the container ended, now or before its last start."""
    for state in (status.get("state") or {}, status.get("lastState") or {}):
        if state.get("terminated") is not None:
            found: Json = state["terminated"]
            return found
    return None


def _is_before_start(pod: Json) -> bool:
    statuses: Sequence[Json] = (pod.get("status") or {}).get("containerStatuses") or ()
    return all(
        ((s.get("state") or {}).get("waiting") or {}).get("reason", "-") in _BEFORE_START
        for s in statuses
    )


def _pull_error(pod: Json, waiting: Json, facts: Facts) -> str:
    """The reason, and the registry's own words where an Event has them."""
    for event in facts.events_about(pod):
        found = re.search(r"(?:rpc error: .*?desc = )?(.*)", event.get("message", ""))
        if event.get("reason") == "Failed" and "ailed to pull" in event["message"] and found:
            _, _, words = event["message"].rpartition(": ")
            if words != event["message"]:
                return f"{waiting['reason']}: {words}"
    return str(waiting["reason"])


def _missing_reference(message: str, workload: Workload) -> tuple[str, Remedy]:
    """Which Secret or ConfigMap is missing, and what to do; "" when it is something else."""
    namespace = workload.namespace
    if found := _MISSING.search(message):
        kind, name = {"secret": "Secret", "configmap": "ConfigMap"}[found[1]], found[2]
        create = "kubectl create secret generic" if kind == "Secret" else "kubectl create configmap"
        return f"{kind} {name} does not exist", Remedy(
            f"Create it with the keys that {workload.path} names, or correct the name there",
            (f"{create} {name} -n {namespace} --from-literal=<key>=<value>", workload.edit),
        )
    if found := _MISSING_KEY.search(message):
        key, kind, name = found[1], found[2], found[4]
        return f"{kind} {name} has no key {key}", Remedy(
            f"Add the key, or correct its name in {workload.path}",
            (f"kubectl describe {kind.lower()} {name} -n {namespace}", workload.edit),
        )
    return "", Remedy(f"Correct {workload.path}", (workload.edit,))


def _times(status: ReadOnlyJson) -> str:
    count = status.get("restartCount", 0)
    return f"{count} restart{'' if count == 1 else 's'}"


def _in(text: str) -> tuple[str, str]:
    return (f"{text}, in ", "")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
