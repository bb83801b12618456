"""The EndpointSlice controller: which addresses stand behind a Service.

Source: pkg/controller/endpointslice of Kubernetes 1.37, with one slice for each Service: a slice
holds 100 endpoints there, and a Service of ours has fewer.
"""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import POD, SERVICE, Json, Ref, Resource, ref_of, uid_of
from simulator.controllers.objects import (
    is_deleting,
    is_ready,
    is_terminal,
    labels_of,
    matches,
    node_of,
    owner_reference,
)
from simulator.controllers.workqueue import WorkQueue
from simulator.controllers.world import Change, RefusedError, World

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class EndpointsController:
    """Keeps an EndpointSlice for every Service with a selector."""

    def __init__(self, world: World, resource: Resource) -> None:
        self._world, self._resource = world, resource
        self.queue: WorkQueue[Ref] = WorkQueue(world.unix_us, lambda ref: ref)

    def changed(self, change: Change) -> None:
        """Queues the Services that a change concerns."""
        if change.ref.resource == SERVICE:
            self.queue.add(change.ref)
        elif change.ref.resource == POD:
            if change.old and change.new and _facts(change.old) == _facts(change.new):
                return
            labels = labels_of(change.latest)
            for service in self._world.list(SERVICE, change.ref.namespace):
                selector = service["spec"].get("selector")
                if selector and matches({"matchLabels": selector}, labels):
                    self.queue.add(ref_of(service))

    def sync_next(self) -> bool:
        """Syncs the next queued Service; False when none is ready."""
        ref = self.queue.take()
        if ref is None:
            return False
        service = self._world.get(ref)
        try:
            if service is not None and service["spec"].get("selector"):
                self._sync(service)
        except RefusedError:
            self.queue.retry(ref)
        else:
            self.queue.forget(ref)
        return True

    def _sync(self, service: Json) -> None:
        meta, selector = service["metadata"], service["spec"]["selector"]
        pods = [
            pod
            for pod in self._world.pods_with(meta["namespace"], selector)
            if not is_terminal(pod)
        ]
        content = {
            "addressType": "IPv4",
            "ports": ports_of(service, pods),
            "endpoints": [e for pod in pods if (e := endpoint_of(pod)) is not None],
        }
        ref = Ref(self._resource, meta["namespace"], f"{meta['name']}-{uid_of(service)[-5:]}")
        live = self._world.get(ref)
        if live is None:
            self._world.create({**_head(service, ref), **content})
        elif any(live.get(k) != v for k, v in content.items()):
            self._world.update({**live, **content})


def _head(service: Json, ref: Ref) -> Json:
    labels = {
        **labels_of(service),
        SERVICE_NAME_LABEL: service["metadata"]["name"],
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
    }


def endpoint_of(pod: Json) -> Json | None:
    """A pod as an endpoint; None before it has an address."""
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        return None
    serving, terminating = is_ready(pod), is_deleting(pod)
    return {
        "addresses": [address],
        "conditions": {
            "ready": serving and not terminating,
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": node_of(pod),
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": uid_of(pod),
        },
    }


def ports_of(service: Json, pods: Sequence[Json]) -> list[Json]:
    """The ports of a Service as its pods know them."""
    ports = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        if isinstance(target, str):
            target = _named_port(target, pods)
            if target is None:
                continue
        ports.append(
            {
                "name": port.get("name", ""),
                "port": target,
                "protocol": port.get("protocol", "TCP"),
            }
        )
    return ports


def _named_port(name: str, pods: Sequence[Json]) -> int | None:
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or ():
                if port.get("name") == name:
                    return int(port["containerPort"])
    return None


def _facts(pod: Json) -> tuple[object, ...]:
    status = pod.get("status") or {}
    return status.get("podIP"), is_ready(pod), is_deleting(pod), is_terminal(pod), labels_of(pod)
