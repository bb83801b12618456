"""What the built-in kinds refuse, worded as the API server words it.

From ``pkg/apis/*/validation`` of Kubernetes 1.37: what manifests and clients really send wrong. On
an update the common checks of metadata come first, and again with the kind's own, as in the server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

from prism_operator.api.meta import Json, Resource
from simulator.apiserver import causes, metadata, names, podspec, quantity
from simulator.apiserver.causes import Cause
from simulator.apiserver.events import core_event
from simulator.apiserver.podspec import label_selector, nonnegative

# A kind's rules: (new, old or None, subresource).
_Rules = Callable[[Json, Json | None, str], Iterator[Cause]]
_RBAC = "rbac.authorization.k8s.io"


def validate(resource: Resource, new: Json, old: Json | None, subresource: str) -> list[Cause]:
    """The causes of a 422 for a built-in object, none for a valid one; each once."""
    return list(dict.fromkeys(_found(resource, new, old, subresource)))


def _found(resource: Resource, new: Json, old: Json | None, subresource: str) -> list[Cause]:
    name_rule, rules = _KINDS.get((resource.group, resource.kind), (names.dns_subdomain, _nothing))
    namespaced = resource.namespaced
    meta = new["metadata"]
    strict = resource.kind not in ("Lease", "CustomResourceDefinition")
    if old is not None:
        found = metadata.check_common(meta, old["metadata"], namespaced=namespaced)
        if name_rule is not None:
            found += metadata.check_update(meta, old["metadata"])
            found += metadata.standard_finalizers(meta) if strict else ()
        return found + list(rules(new, old, subresource))
    if name_rule is not None:
        found = metadata.check(meta, namespaced=namespaced, name_rule=name_rule)
        found += metadata.standard_finalizers(meta) if strict else ()
        return found + list(rules(new, None, subresource))
    found = list(rules(new, None, subresource))
    return found or metadata.check(meta, namespaced=namespaced, name_rule=names.path_segment)


def _metadata(
    new: Json, *, namespaced: bool = True, name_rule: metadata.NameRule = names.dns_subdomain
) -> Iterator[Cause]:
    yield from metadata.check(new["metadata"], namespaced=namespaced, name_rule=name_rule)
    yield from metadata.standard_finalizers(new["metadata"])


def _nothing(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del new, old, subresource
    yield from ()


# Workloads


def _deployment(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        yield from _workload_status(new["status"], ("updatedReplicas", "unavailableReplicas"))
        return
    spec = new["spec"]
    yield from nonnegative(spec["replicas"], "spec.replicas")
    yield from _template(spec)
    yield from _strategy(spec["strategy"])
    ready_s = spec.get("minReadySeconds", 0)
    yield from nonnegative(ready_s, "spec.minReadySeconds")
    yield from nonnegative(spec["revisionHistoryLimit"], "spec.revisionHistoryLimit")
    deadline_s = spec["progressDeadlineSeconds"]
    yield from nonnegative(deadline_s, "spec.progressDeadlineSeconds")
    if deadline_s <= ready_s:
        text = "must be greater than minReadySeconds"
        yield causes.invalid("spec.progressDeadlineSeconds", deadline_s, text)
    if old is not None:
        yield from _same(spec.get("selector"), old["spec"].get("selector"), "spec.selector")


def _replica_set(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        yield from _workload_status(new["status"], ("fullyLabeledReplicas",))
        return
    spec = new["spec"]
    yield from nonnegative(spec["replicas"], "spec.replicas")
    yield from nonnegative(spec.get("minReadySeconds", 0), "spec.minReadySeconds")
    yield from _template(spec)
    if old is not None:
        yield from _same(spec.get("selector"), old["spec"].get("selector"), "spec.selector")


def _template(spec: Json) -> Iterator[Cause]:
    selector, template = spec.get("selector"), spec["template"]
    bad: list[Cause] = []
    if selector is None:
        yield causes.required("spec.selector")
    else:
        bad = list(label_selector(selector, "spec.selector"))
        yield from bad
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            text = "empty selector is invalid for deployment"
            yield causes.invalid("spec.selector", selector, text)
    if any(cause.field.startswith("spec.selector.match") for cause in bad):
        yield causes.invalid("spec.selector", selector, "invalid label selector")
        return
    labels = template["metadata"].get("labels")
    # A missing selector selects nothing, an empty one is not held against the labels.
    if selector is None or not podspec.selects(selector, labels):
        text = "`selector` does not match template `labels`"
        yield causes.invalid("spec.template.metadata.labels", labels, text)
    yield from podspec.check_template(template, "spec.template")
    policy = template["spec"]["restartPolicy"]
    if policy != "Always":
        yield causes.not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if "activeDeadlineSeconds" in template["spec"]:
        text = "activeDeadlineSeconds in ReplicaSet is not Supported"
        yield causes.forbidden("spec.template.spec.activeDeadlineSeconds", text)


_ROLLING = ("MaxUnavailable", "MaxSurge")


def _strategy(strategy: Json) -> Iterator[Cause]:
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate":
        if rolling is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            yield causes.forbidden("spec.strategy.rollingUpdate", text)
    elif strategy["type"] == "RollingUpdate":
        path = "spec.strategy.rollingUpdate"
        unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]  # type: ignore[index]
        yield from _int_or_percent(unavailable, f"{path}.maxUnavailable")
        yield from _int_or_percent(surge, f"{path}.maxSurge")
        if _amount(unavailable) == 0 and _amount(surge) == 0:
            text = "may not be 0 when `maxSurge` is 0"
            yield causes.invalid(f"{path}.maxUnavailable", unavailable, text)
        yield from _at_most_all(unavailable, f"{path}.maxUnavailable")
    else:
        if rolling is not None:
            rolling = {name: rolling.get(name[:1].lower() + name[1:], 0) for name in _ROLLING}
        shown = {"Type": strategy["type"], "RollingUpdate": rolling}
        supported = ("Recreate", "RollingUpdate")
        yield causes.not_supported("spec.strategy", causes.Ordered(shown), supported)


def _int_or_percent(value: int | str, path: str) -> Iterator[Cause]:
    if isinstance(value, int):
        yield from nonnegative(value, path)
    else:
        yield from (causes.invalid(path, value, text) for text in names.percentage(value))


def _at_most_all(value: int | str, path: str) -> Iterator[Cause]:
    if isinstance(value, str) and not names.percentage(value) and int(value[:-1]) > 100:
        yield causes.invalid(path, value, "must not be greater than 100%")


def _amount(value: int | str) -> int:
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _workload_status(status: Json, extra: tuple[str, ...]) -> Iterator[Cause]:
    counts = ("replicas", *extra, "readyReplicas", "availableReplicas", "observedGeneration")
    for field in counts:
        yield from nonnegative(status.get(field, 0), f"status.{field}")
    for field in ("terminatingReplicas", "collisionCount"):
        yield from nonnegative(status.get(field), f"status.{field}")
    total = status.get("replicas", 0)
    for field in (extra[0], "readyReplicas", "availableReplicas"):
        if (count := status.get(field, 0)) > total:
            text = "cannot be greater than status.replicas"
            yield causes.invalid(f"status.{field}", count, text)
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        text = "cannot be greater than readyReplicas"
        yield causes.invalid("status.availableReplicas", available, text)


def _same(new: Any, old: Any, path: str) -> Iterator[Cause]:
    if new != old:
        yield causes.invalid(path, new, "field is immutable")


def _pod(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        return
    yield from podspec.check_spec(new["spec"], "spec")
    if old is None:
        return
    yield from _pod_update(new["spec"], old["spec"])


def _pod_update(new: Json, old: Json) -> Iterator[Cause]:
    """What ValidatePodUpdate refuses of a pod without scheduling gates."""
    for kind in ("containers", "initContainers"):
        if len(new.get(kind) or ()) != len(old.get(kind) or ()):
            yield causes.forbidden(f"spec.{kind}", "pod updates may not add or remove containers")
            return
    yield from _deadline(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    kept = [_lasting(toleration) for toleration in new.get("tolerations") or ()]
    if any(_lasting(toleration) not in kept for toleration in old.get("tolerations") or ()):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield causes.forbidden("spec.tolerations", text)
    if _frozen(new) != _frozen(old):
        text = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
            "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to "
            "be set to 1 if it was previously negative)"
        )
        yield causes.forbidden("spec", text)


def _deadline(new_s: int | None, old_s: int | None) -> Iterator[Cause]:
    path = "spec.activeDeadlineSeconds"
    if new_s is None and old_s is not None:
        text = "must not update from a positive integer to nil value"
        yield causes.invalid(path, None, text)
    elif new_s is not None and old_s is not None and old_s < new_s:
        yield causes.invalid(path, new_s, "must be less than or equal to previous value")


def _lasting(toleration: Json) -> Json:
    return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}


def _frozen(spec: Json) -> Json:
    """The part of a pod's spec that never changes."""
    out = {k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations")}
    for kind in ("containers", "initContainers"):
        out[kind] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(kind) or ()]
    return out


# Services and configuration


def _service(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        ingress = (new["status"].get("loadBalancer") or {}).get("ingress")
        if ingress and new["spec"]["type"] != "LoadBalancer":
            text = "may only be used when `spec.type` is 'LoadBalancer'"
            yield causes.forbidden("status.loadBalancer.ingress", text)
        return
    spec = new["spec"]
    if old is not None:
        yield from _cluster_ip_change(spec, old["spec"])
    kind, ports = spec["type"], spec.get("ports") or ()
    headless = (spec.get("clusterIPs") or [""])[0] == "None" or spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        yield causes.required("spec.ports")
    if kind in ("LoadBalancer", "NodePort") and headless:
        text = f"may not be set to 'None' for {kind} services"
        yield causes.invalid("spec.clusterIPs[0]", "None", text)
    if kind == "ExternalName":
        yield from _external_name(spec)
    seen: set[str] = set()
    for index, port in enumerate(ports):
        yield from _service_port(port, len(ports) > 1, seen, f"spec.ports[{index}]")
    yield from metadata.labels(spec.get("selector"), "spec.selector")
    affinities = ("ClientIP", "None")
    if spec["sessionAffinity"] not in affinities:
        value = spec["sessionAffinity"]
        yield causes.not_supported("spec.sessionAffinity", value, affinities)
    if kind != "ExternalName":
        yield from _cluster_ips(spec)
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if kind not in kinds:
        yield causes.not_supported("spec.type", kind, kinds)
    for index, port in enumerate(ports):
        if kind == "ClusterIP" and port.get("nodePort"):
            text = "may not be used when `type` is 'ClusterIP'"
            yield causes.forbidden(f"spec.ports[{index}].nodePort", text)
    yield from _repeated_ports(ports)
    if "allocateLoadBalancerNodePorts" in spec and kind != "LoadBalancer":
        text = "may only be used when `type` is 'LoadBalancer'"
        yield causes.forbidden("spec.allocateLoadBalancerNodePorts", text)
    yield from _traffic(spec)


def _external_name(spec: Json) -> Iterator[Cause]:
    text = "may not be set for ExternalName services"
    for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            yield causes.forbidden(f"spec.{field}", text)
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        yield causes.required("spec.externalName")
    else:
        texts = names.dns_subdomain(name)
        yield from (causes.invalid("spec.externalName", name, told) for told in texts)


def _service_port(port: Json, needs_name: bool, seen: set[str], path: str) -> Iterator[Cause]:
    name = port.get("name", "")
    if name:
        yield from (causes.invalid(f"{path}.name", name, t) for t in names.dns_label(name))
        if name in seen:
            yield causes.duplicate(f"{path}.name", name)
        seen.add(name)
    elif needs_name:
        yield causes.required(f"{path}.name")
    number = port.get("port", 0)
    yield from (causes.invalid(f"{path}.port", number, t) for t in names.port_number(number))
    protocols = ("SCTP", "TCP", "UDP")
    if port["protocol"] not in protocols:
        yield causes.not_supported(f"{path}.protocol", port["protocol"], protocols)
    yield from podspec.port_or_name(port["targetPort"], f"{path}.targetPort")
    protocol = port.get("appProtocol")
    if protocol is not None:
        texts = names.qualified_name(protocol)
        yield from (causes.invalid(f"{path}.appProtocol", protocol, text) for text in texts)


def _repeated_ports(ports: Any) -> Iterator[Cause]:
    node_ports: set[Any] = set()
    numbers: set[Any] = set()
    for index, port in enumerate(ports):
        key = (port["protocol"], port.get("nodePort"))
        if port.get("nodePort"):
            if key in node_ports:
                yield causes.duplicate(f"spec.ports[{index}].nodePort", port["nodePort"])
            node_ports.add(key)
    for index, port in enumerate(ports):
        key = (port["protocol"], port.get("port"))
        if key in numbers:
            shown = {
                "Name": "",
                "Protocol": port["protocol"],
                "AppProtocol": None,
                "Port": port.get("port", 0),
                "TargetPort": 0,
                "NodePort": 0,
            }
            yield causes.duplicate(f"spec.ports[{index}]", causes.Ordered(shown))
        numbers.add(key)


def _cluster_ips(spec: Json) -> Iterator[Cause]:
    address, addresses = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if address and addresses and addresses[0] != address:
        text = "first value must match `clusterIP`"
        yield causes.invalid("spec.clusterIPs", addresses, text)
    elif not address and addresses:
        text = "must be empty when `clusterIP` is not specified"
        yield causes.invalid("spec.clusterIPs", addresses, text)
    families = ("IPv4", "IPv6")
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in families:
            yield causes.not_supported(f"spec.ipFamilies[{index}]", family, families)
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in policies:
        yield causes.not_supported("spec.ipFamilyPolicy", policy, policies)
    for index, value in enumerate(addresses):
        if value == "None" and index == 0:
            continue
        try:
            ipaddress.ip_address(value)
        except ValueError:
            text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield causes.invalid(f"spec.clusterIPs[{index}]", value, text)


def _cluster_ip_change(new: Json, old: Json) -> Iterator[Cause]:
    if "ExternalName" in (new["type"], old["type"]):
        return
    now, was = new.get("clusterIPs") or [], old.get("clusterIPs") or []
    if now[:1] == was[:1] == ["None"]:
        return
    if len(now) == len(was):
        for index, (mine, before) in enumerate(zip(now, was, strict=True)):
            if mine != before:
                path = f"spec.clusterIPs[{index}]"
                yield causes.invalid(path, now, "may not change once set")
    elif len(was) > len(now):
        if not now:
            text = "primary clusterIP can not be unset"
            yield causes.invalid("spec.clusterIPs[0]", None, text)
    elif was and now[0] != was[0]:
        yield causes.invalid("spec.clusterIPs[0]", now, "may not change once set")


def _traffic(spec: Json) -> Iterator[Cause]:
    external = spec["type"] in ("NodePort", "LoadBalancer") or (
        spec["type"] == "ClusterIP" and spec.get("externalIPs")
    )
    policy = spec.get("externalTrafficPolicy", "")
    supported = ("Cluster", "Local")
    if not external:
        if policy:
            text = "may only be set for externally-accessible services"
            yield causes.invalid("spec.externalTrafficPolicy", policy, text)
    elif policy not in supported:
        yield causes.not_supported("spec.externalTrafficPolicy", policy, supported)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in supported:
        yield causes.not_supported("spec.internalTrafficPolicy", internal, supported)


def _config_map(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del subresource
    yield from _frozen_data(new, old, ("data", "binaryData"))
    if old is not None:
        yield from _metadata(new)
    binary = new.get("binaryData") or {}
    for key in new.get("data") or {}:
        for text in names.config_key(key):
            yield causes.invalid(f"data[{key}]", key, text)
        if key in binary:
            yield causes.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        for text in names.config_key(key):
            yield causes.invalid(f"binaryData[{key}]", key, text)


def _secret(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del subresource
    if old is not None:
        yield from _same(new["type"], old["type"], "type")
    yield from _frozen_data(new, old, ("data",))
    if old is not None:
        yield from _metadata(new)
    data = new.get("data") or {}
    for key in data:
        yield from (causes.invalid(f"data[{key}]", key, t) for t in names.config_key(key))
    needed = {
        "kubernetes.io/tls": ("tls.crt", "tls.key"),
        "kubernetes.io/dockercfg": (".dockercfg",),
        "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    }
    for key in needed.get(new["type"], ()):
        if key not in data:
            yield causes.required(f"data[{key}]")
    if new["type"] == "kubernetes.io/basic-auth" and not {"username", "password"} & {*data}:
        yield causes.required("data[username]")
        yield causes.required("data[password]")
    if new["type"] == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
        yield causes.required("data[ssh-privatekey]")


def _frozen_data(new: Json, old: Json | None, fields: tuple[str, ...]) -> Iterator[Cause]:
    if old is None or not old.get("immutable"):
        return
    text = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        yield causes.forbidden("immutable", text)
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield causes.forbidden(field, text)


# Autoscaling and budgets


def _autoscaler(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        status = new["status"]
        yield from nonnegative(status.get("currentReplicas"), "status.currentReplicas")
        yield from nonnegative(status.get("desiredReplicas"), "status.desiredReplicas")
        return
    spec = new["spec"]
    low, high = spec["minReplicas"], spec.get("maxReplicas", 0)
    if high < low:
        text = "must be greater than or equal to `minReplicas`"
        yield causes.invalid("spec.maxReplicas", high, text)
    target = spec["scaleTargetRef"]
    was = (old or {}).get("spec", {}).get("scaleTargetRef", {})
    unchanged = old is not None and all(
        was.get(field) == target.get(field) for field in ("apiVersion", "kind")
    )
    yield from _target_reference(
        target,
        "spec.scaleTargetRef",
        groupless=unchanged or target.get("kind") == "ReplicationController",
    )
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{index}]")
    if low == 0 and not any(m["type"] in ("Object", "External") for m in spec["metrics"]):
        text = (
            "must specify at least one Object or External metric to support scaling to zero "
            "replicas"
        )
        yield causes.forbidden("spec.metrics", text)
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if direction in behavior:
            yield from _scaling_rules(behavior[direction], f"spec.behavior.{direction}")
    # What Kubernetes validates declaratively comes last.
    if low < 0:
        yield causes.invalid("spec.minReplicas", low, "must be greater than or equal to 0")
    if high == 0:
        yield causes.required("spec.maxReplicas")
    elif high < 0:
        yield causes.invalid("spec.maxReplicas", high, "must be greater than or equal to 1")


def _target_reference(reference: Json, path: str, *, groupless: bool) -> Iterator[Cause]:
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            yield causes.required(f"{path}.{field}")
        else:
            texts = names.path_segment(value)
            yield from (causes.invalid(f"{path}.{field}", value, text) for text in texts)
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        text = f"unexpected GroupVersion string: {version}"
        yield causes.invalid(f"{path}.apiVersion", version, text)
    elif "/" not in version and not groupless:
        text = "apiVersion must specify API group"
        yield causes.invalid(f"{path}.apiVersion", version, text)


_METRICS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_METRIC_NAMES = ("ContainerResource", "External", "Object", "Pods", "Resource")


def _metric(metric: Json, path: str) -> Iterator[Cause]:
    kind = metric.get("type", "")
    if not kind:
        yield causes.required(f"{path}.type", "must specify a metric source type")
    if kind not in _METRICS:
        yield causes.not_supported(f"{path}.type", kind, _METRIC_NAMES)
    present = [source for source in _METRICS.values() if source in metric]
    if present:
        yield from _metric_source(present[0], metric[present[0]], f"{path}.{present[0]}")
    expected = _METRICS.get(kind, "")
    if not expected:
        yield causes.not_supported(f"{path}.type", kind, _METRIC_NAMES)
    elif expected not in metric:
        text = "must populate information for the given metric source"
        yield causes.required(f"{path}.{expected}", text)
    if len(present) != 1:
        for source in present:
            if source != expected:
                text = "must populate the given metric source only"
                yield causes.forbidden(f"{path}.{source}", text)


def _metric_source(kind: str, source: Json, path: str) -> Iterator[Cause]:
    target = source["target"]
    if kind == "object":
        described = source["describedObject"]
        yield from _target_reference(described, f"{path}.describedObject", groupless=True)
    if kind in ("resource", "containerResource"):
        name = source.get("name", "")
        if not name:
            yield causes.required(f"{path}.name", "must specify a resource name")
        if kind == "containerResource":
            container = source.get("container", "")
            if not container:
                yield causes.required(f"{path}.container", "must specify a container")
            else:
                texts = names.dns_label(container)
                yield from (causes.invalid(f"{path}.container", container, t) for t in texts)
    else:
        name = source["metric"].get("name", "")
        if not name:
            yield causes.required(f"{path}.metric.name", "must specify a metric name")
        else:
            texts = names.path_segment(name)
            yield from (causes.invalid(f"{path}.metric.name", name, text) for text in texts)
    yield from _metric_target(target, f"{path}.target")
    value, average = "value" in target, "averageValue" in target
    utilization = "averageUtilization" in target
    at = f"{path}.target"
    match kind:
        case "object":
            if not value and not average:
                text = "must set either a target value or averageValue"
                yield causes.required(f"{at}.averageValue", text)
        case "external":
            if not value and not average:
                text = "must set either a target value for metric or a per-pod target"
                yield causes.required(f"{at}.averageValue", text)
            if value and average:
                text = "may not set both a target value for metric and a per-pod target"
                yield causes.forbidden(f"{at}.value", text)
        case "pods":
            if not average:
                text = "must specify a positive target averageValue"
                yield causes.required(f"{at}.averageValue", text)
        case _:
            if not utilization and not average:
                text = "must set either a target raw value or a target utilization"
                yield causes.required(f"{at}.averageUtilization", text)
            if utilization and average:
                text = "may not set both a target raw value and a target utilization"
                yield causes.forbidden(f"{at}.averageValue", text)


def _metric_target(target: Json, path: str) -> Iterator[Cause]:
    kind = target.get("type", "")
    if not kind:
        yield causes.required(f"{path}.type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        text = "must be either Utilization, Value, or AverageValue"
        yield causes.invalid(f"{path}.type", kind, text)
    for field in ("value", "averageValue"):
        if field in target and quantity.value_of(target[field]) <= 0:
            yield causes.invalid(f"{path}.{field}", target[field], "must be positive")
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        yield causes.invalid(f"{path}.averageUtilization", utilization, "must be greater than 0")


def _scaling_rules(rules: Json, path: str) -> Iterator[Cause]:
    window_s = rules.get("stabilizationWindowSeconds")
    if window_s is not None and window_s < 0:
        text = "must be greater than or equal to zero"
        yield causes.invalid(f"{path}.stabilizationWindowSeconds", window_s, text)
    if window_s is not None and window_s > 3600:
        text = "must be less than or equal to 3600"
        yield causes.invalid(f"{path}.stabilizationWindowSeconds", window_s, text)
    choice = rules.get("selectPolicy")
    if choice not in ("Disabled", "Max", "Min"):
        yield causes.not_supported(f"{path}.selectPolicy", choice, ("Disabled", "Max", "Min"))
    for index, policy in enumerate(rules.get("policies") or ()):
        where = f"{path}.policies[{index}]"
        if policy["type"] not in ("Percent", "Pods"):
            yield causes.not_supported(f"{where}.type", policy["type"], ("Percent", "Pods"))
        if policy["value"] <= 0:
            yield causes.invalid(f"{where}.value", policy["value"], "must be greater than zero")
        period_s = policy["periodSeconds"]
        if period_s <= 0:
            yield causes.invalid(f"{where}.periodSeconds", period_s, "must be greater than zero")
        if period_s > 1800:
            text = "must be less than or equal to 1800"
            yield causes.invalid(f"{where}.periodSeconds", period_s, text)
    tolerance = rules.get("tolerance")
    if tolerance is not None:
        value = quantity.value_of(tolerance)
        yield from podspec.nonnegative_quantity(value, tolerance, f"{path}.tolerance")


def _budget(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del old
    if subresource == "status":
        for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
            yield from nonnegative(new["status"].get(field), f"status.{field}")
        return
    spec = new["spec"]
    if "minAvailable" in spec and "maxUnavailable" in spec:
        shown = {
            "MinAvailable": spec["minAvailable"],
            "Selector": spec.get("selector"),
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        text = "minAvailable and maxUnavailable cannot be both set"
        yield causes.invalid("spec", causes.Ordered(shown), text)
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec:
            yield from _int_or_percent(spec[field], f"spec.{field}")
            yield from _at_most_all(spec[field], f"spec.{field}")
    yield from label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    supported = ("AlwaysAllow", "IfHealthyBudget")
    if policy is not None and policy not in supported:
        yield causes.not_supported("spec.unhealthyPodEvictionPolicy", policy, supported)


# Access


def _role(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del subresource
    namespaced = new["kind"] == "Role"
    if old is not None:
        yield from _metadata(new, namespaced=namespaced, name_rule=names.path_segment)
    for index, rule in enumerate(new.get("rules") or ()):
        path = f"rules[{index}]"
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", urls, text)
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                yield causes.invalid(f"{path}.nonResourceURLs", urls, text)
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            yield causes.required(f"{path}.apiGroups", text)
        if not rule.get("resources"):
            text = "resource rules must supply at least one resource"
            yield causes.required(f"{path}.resources", text)
    # What Kubernetes validates declaratively comes last.
    for index, rule in enumerate(new.get("rules") or ()):
        if not rule.get("verbs"):
            yield causes.required(f"rules[{index}].verbs")


def _role_binding(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del subresource
    namespaced = new["kind"] == "RoleBinding"
    if old is not None:
        yield from _metadata(new, namespaced=namespaced, name_rule=names.path_segment)
    reference = new["roleRef"]
    if reference["apiGroup"] != _RBAC:
        yield causes.not_supported("roleRef.apiGroup", reference["apiGroup"], (_RBAC,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference["kind"] not in kinds:
        yield causes.not_supported("roleRef.kind", reference["kind"], kinds)
    yield from (
        causes.invalid("roleRef.name", reference["name"], text)
        for text in names.path_segment(reference["name"])
    )
    for index, subject in enumerate(new.get("subjects") or ()):
        yield from _subject(subject, namespaced, f"subjects[{index}]")
    changed = old is not None and reference != old["roleRef"]
    if changed:
        if not reference["name"]:
            yield causes.required("roleRef.name")
        shown = {name: reference[name[:1].lower() + name[1:]] for name in ("Kind", "Name")}
        shown = {"APIGroup": reference["apiGroup"], **shown}
        yield causes.invalid("roleRef", causes.Ordered(shown), "field is immutable")
    # What Kubernetes validates declaratively comes last.
    for index, subject in enumerate(new.get("subjects") or ()):
        if not subject.get("name"):
            yield causes.required(f"subjects[{index}].name")
    if not changed and not reference["name"]:
        yield causes.required("roleRef.name")


def _subject(subject: Json, namespaced: bool, path: str) -> Iterator[Cause]:
    name, group = subject.get("name", ""), subject.get("apiGroup", "")
    match subject.get("kind", ""):
        case "ServiceAccount":
            if name:
                texts = names.dns_subdomain(name)
                yield from (causes.invalid(f"{path}.name", name, text) for text in texts)
            if group:
                yield causes.not_supported(f"{path}.apiGroup", group, ("",))
            if not namespaced and not subject.get("namespace"):
                yield causes.required(f"{path}.namespace")
        case "User" | "Group":
            if group != _RBAC:
                yield causes.not_supported(f"{path}.apiGroup", group, (_RBAC,))
        case kind:
            supported = ("ServiceAccount", "User", "Group")
            yield causes.not_supported(f"{path}.kind", kind, supported)


def _lease(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del old, subresource
    spec = new["spec"]
    duration_s, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration_s is not None and duration_s <= 0:
        text = "must be greater than 0"
        yield causes.invalid("spec.leaseDurationSeconds", duration_s, text)
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        yield causes.invalid("spec.leaseTransitions", transitions, text)


# CustomResourceDefinitions


def _crd(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    if subresource == "status":
        return
    spec = new["spec"]
    names_ = spec["names"]
    if new["metadata"].get("name") != f"{names_['plural']}.{spec['group']}":
        text = 'must be spec.names.plural+"."+spec.group'
        yield causes.invalid("metadata.name", new["metadata"].get("name"), text)
    if not spec["group"]:
        yield causes.required("spec.group")
    if spec["scope"] not in ("Cluster", "Namespaced"):
        yield causes.not_supported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
    versions = spec.get("versions") or ()
    if sum(bool(version.get("storage")) for version in versions) != 1:
        shown = [version["name"] for version in versions]
        text = "must have exactly one version marked as storage version"
        yield causes.invalid("spec.versions", shown, text)
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            yield causes.required(path, "schemas are required")
    if old is not None:
        yield from _same(spec["group"], old["spec"]["group"], "spec.group")
        yield from _same(spec["scope"], old["spec"]["scope"], "spec.scope")
        was = old["spec"]["names"]
        yield from _same(names_["kind"], was["kind"], "spec.names.kind")
        yield from _same(names_["plural"], was["plural"], "spec.names.plural")


# Events


def _event(new: Json, old: Json | None, subresource: str) -> Iterator[Cause]:
    del subresource
    if new["apiVersion"] == "v1":
        yield from _any_event(new, "reportingComponent")
        return
    event = core_event(new)
    yield from _any_event(event, "reportingController")
    if old is None:
        yield from _metadata(new)
        yield from _series(event)
        yield from _new_event(event)
        return
    yield from metadata.check_update(new["metadata"], old["metadata"])
    yield from metadata.standard_finalizers(new["metadata"])
    was = core_event(old)
    if event.get("series") != was.get("series"):
        yield from _series(event)
    for field, empty in _FIXED_IN_EVENTS:
        value = event.get(field, empty)
        if value != was.get(field, empty):
            named = "reportingController" if field == "reportingComponent" else field
            yield causes.invalid(named, _internal(field, value), "field is immutable")


def _internal(field: str, value: Any) -> Any:
    """A struct as the server shows its internal type: every field, in upper case."""
    names_ = _INTERNAL.get(field)
    if names_ is None or value is None:
        return value
    given = {name.lower(): item for name, item in value.items()}
    return causes.Ordered({name: given.get(name.lower(), "") for name in names_})


_REFERENCE = ("Kind", "Namespace", "Name", "UID", "APIVersion", "ResourceVersion", "FieldPath")
_INTERNAL = {
    "involvedObject": _REFERENCE,
    "related": _REFERENCE,
    "source": ("Component", "Host"),
}


_FIXED_IN_EVENTS: tuple[tuple[str, Any], ...] = (
    ("involvedObject", {}),
    ("reason", ""),
    ("message", ""),
    ("source", {}),
    ("firstTimestamp", None),
    ("lastTimestamp", None),
    ("count", 0),
    ("reason", ""),
    ("type", ""),
    ("eventTime", None),
    ("action", ""),
    ("related", None),
    ("reportingComponent", ""),
    ("reportingInstance", ""),
)


def _any_event(event: Json, controller_field: str) -> Iterator[Cause]:
    namespace = event["metadata"].get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace", "")
    mismatch = "does not match event.namespace"
    if event.get("eventTime") is None:
        agrees = namespace == about if about else namespace in ("", "default")
        if not agrees:
            yield causes.invalid("involvedObject.namespace", about, mismatch)
        return
    if not about and namespace not in ("default", "kube-system"):
        yield causes.invalid("involvedObject.namespace", about, mismatch)
    controller = event.get("reportingComponent", "")
    if not controller:
        yield causes.required(controller_field)
    for text in names.qualified_name(controller):
        yield causes.invalid(controller_field, controller, text)
    for field, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = event.get(field, "")
        if not value:
            yield causes.required(field)
        if len(value.encode()) > limit:
            yield causes.invalid(field, "", f"can have at most {limit} characters")
    if len(event.get("message", "").encode()) > 1024:
        yield causes.invalid("message", "", "can have at most 1024 characters")


def _series(event: Json) -> Iterator[Cause]:
    series = event.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        yield causes.invalid("series.count", "", "should be at least 2")
    if series.get("lastObservedTime") is None:
        yield causes.required("series.lastObservedTime")


def _new_event(event: Json) -> Iterator[Cause]:
    if event.get("eventTime") is None:
        yield causes.required("eventTime")
    kind = event.get("type", "")
    if kind not in ("Normal", "Warning"):
        yield causes.invalid("type", "", f"has invalid value: {kind}")
    for field in ("firstTimestamp", "lastTimestamp", "count", "source"):
        if event.get(field):
            yield causes.invalid(field, "", "needs to be unset")


# By group and kind: the rule for names, and the rest. A kind without a rule for names has none of
# its own, and its metadata is looked at last.
_KINDS: dict[tuple[str, str], tuple[metadata.NameRule | None, _Rules]] = {
    ("", "Pod"): (names.dns_subdomain, _pod),
    ("", "Service"): (names.dns_label, _service),
    ("", "ConfigMap"): (names.dns_subdomain, _config_map),
    ("", "Secret"): (names.dns_subdomain, _secret),
    ("", "Namespace"): (names.dns_label, _nothing),
    ("apps", "Deployment"): (names.dns_subdomain, _deployment),
    ("apps", "ReplicaSet"): (names.dns_subdomain, _replica_set),
    ("autoscaling", "HorizontalPodAutoscaler"): (names.dns_subdomain, _autoscaler),
    ("policy", "PodDisruptionBudget"): (None, _budget),
    ("", "Event"): (None, _event),
    ("events.k8s.io", "Event"): (None, _event),
    (_RBAC, "Role"): (names.path_segment, _role),
    (_RBAC, "ClusterRole"): (names.path_segment, _role),
    (_RBAC, "RoleBinding"): (names.path_segment, _role_binding),
    (_RBAC, "ClusterRoleBinding"): (names.path_segment, _role_binding),
    ("coordination.k8s.io", "Lease"): (names.dns_subdomain, _lease),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (names.dns_subdomain, _crd),
}
