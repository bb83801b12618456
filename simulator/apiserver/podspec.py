"""What a valid pod template says: containers, volumes, probes, placement.

From ``pkg/apis/core/validation/validation.go`` of Kubernetes 1.37: the rules that manifests really
break. Paths and wording are the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver import causes, names, quantity
from simulator.apiserver.causes import Cause
from simulator.apiserver.metadata import check_annotations, labels

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_VOLUMES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)


def check_template(template: Json, path: str) -> Iterator[Cause]:
    """What is wrong with a PodTemplateSpec."""
    meta = template.get("metadata") or {}
    yield from labels(meta.get("labels"), f"{path}.labels")
    yield from check_annotations(meta.get("annotations"), f"{path}.annotations")
    yield from check_spec(template["spec"], f"{path}.spec")


def check_spec(spec: Json, path: str) -> Iterator[Cause]:
    """What is wrong with a PodSpec."""
    volumes: dict[str, Json] = {}
    yield from _volumes(spec.get("volumes") or (), volumes, f"{path}.volumes")
    grace_s = spec.get("terminationGracePeriodSeconds", 30)
    yield from _containers(spec.get("containers") or (), volumes, grace_s, f"{path}.containers")
    yield from _init_containers(spec, volumes, grace_s, f"{path}.initContainers")
    yield from _one_of(
        spec["restartPolicy"], ("Always", "OnFailure", "Never"), f"{path}.restartPolicy"
    )
    policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    yield from _one_of(spec["dnsPolicy"], policies, f"{path}.dnsPolicy")
    yield from labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    yield from _pod_security(spec.get("securityContext") or {}, f"{path}.securityContext")
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    yield from _spread(
        spec.get("topologySpreadConstraints") or (), f"{path}.topologySpreadConstraints"
    )
    for field, rule in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
    ):
        value = spec.get(field)
        if value:
            yield from (causes.invalid(f"{path}.{field}", value, t) for t in rule(value))
    yield from _tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    for field in ("priorityClassName", "runtimeClassName"):
        value = spec.get(field)
        if value:
            texts = names.dns_subdomain(value)
            yield from (causes.invalid(f"{path}.{field}", value, text) for text in texts)
    if "preemptionPolicy" in spec:
        supported = ("PreemptLowerPriority", "Never")
        yield from _one_of(spec["preemptionPolicy"], supported, f"{path}.preemptionPolicy")


def nonnegative(value: Any, path: str) -> Iterator[Cause]:
    """A number that may not be negative."""
    if value is not None and value < 0:
        yield causes.invalid(path, value, "must be greater than or equal to 0")


def label_selector(selector: Json | None, path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector."""
    if selector is None:
        return
    yield from labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = term.get("operator", ""), term.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be specified when `operator` is 'In' or 'NotIn'"
                yield causes.required(f"{where}.values", text)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield causes.forbidden(f"{where}.values", text)
        else:
            text = "not a valid selector operator"
            yield causes.invalid(f"{where}.operator", operator, text)
        key = term.get("key", "")
        yield from (causes.invalid(f"{where}.key", key, text) for text in names.qualified_name(key))
        for at, value in enumerate(values):
            for text in names.label_value(value):
                yield causes.invalid(f"{where}.values[{at}]", value, text)


def selects(selector: Json | None, given: Mapping[str, str] | None) -> bool:
    """Whether a LabelSelector matches labels; one that says nothing matches all."""
    given = given or {}
    selector = selector or {}
    if any(given.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        value, values = given.get(term["key"]), term.get("values") or ()
        match term["operator"]:
            case "In":
                holds = value is not None and value in values
            case "NotIn":
                holds = value not in values
            case "Exists":
                holds = value is not None
            case _:
                holds = value is None
        if not holds:
            return False
    return True


def port_or_name(value: int | str, path: str) -> Iterator[Cause]:
    """A port by number or by name."""
    rule: list[str] = names.port_number(value) if isinstance(value, int) else names.port_name(value)
    return (causes.invalid(path, value, text) for text in rule)


def _one_of(value: str, supported: Iterable[str], path: str) -> Iterator[Cause]:
    supported = tuple(supported)
    if not value:
        yield causes.required(path)
    elif value not in supported:
        yield causes.not_supported(path, value, supported)


def _init_containers(
    spec: Json, volumes: Mapping[str, Json], grace_s: int, path: str
) -> Iterator[Cause]:
    taken = {c.get("name") for c in spec.get("containers") or ()}
    for index, container in enumerate(spec.get("initContainers") or ()):
        where = f"{path}[{index}]"
        yield from _container(container, volumes, where)
        name = container.get("name")
        if name and name in taken:
            yield causes.duplicate(f"{where}.name", name)
        taken.add(name)
        if container.get("restartPolicy") == "Always":
            yield from _probes(container, grace_s, where)
        else:
            for probe in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if probe in container:
                    text = "may not be set for init containers without restartPolicy=Always"
                    yield causes.forbidden(f"{where}.{probe}", text)


def _containers(
    containers: Sequence[Json], volumes: Mapping[str, Json], grace_s: int, path: str
) -> Iterator[Cause]:
    if not containers:
        yield causes.required(path)
    seen: set[str] = set()
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        yield from _container(container, volumes, where)
        name = container.get("name", "")
        if name in seen:
            yield causes.duplicate(f"{where}.name", name)
        seen.add(name)
        yield from _probes(container, grace_s, where)


def _container(container: Json, volumes: Mapping[str, Json], path: str) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield causes.required(f"{path}.name")
    else:
        yield from (causes.invalid(f"{path}.name", name, t) for t in names.dns_label(name))
    if not container.get("image"):
        yield causes.required(f"{path}.image")
    policies = ("File", "FallbackToLogsOnError")
    policy = container["terminationMessagePolicy"]
    yield from _one_of(policy, policies, f"{path}.terminationMessagePolicy")
    yield from _ports(container.get("ports") or (), f"{path}.ports")
    yield from _environment(container.get("env") or (), f"{path}.env")
    yield from _environment_from(container.get("envFrom") or (), f"{path}.envFrom")
    yield from _mounts(container.get("volumeMounts") or (), volumes, f"{path}.volumeMounts")
    supported = ("Always", "IfNotPresent", "Never")
    yield from _one_of(container["imagePullPolicy"], supported, f"{path}.imagePullPolicy")
    yield from resources(container.get("resources") or {}, f"{path}.resources")
    yield from _security(container.get("securityContext") or {}, f"{path}.securityContext")


def _ports(ports: Sequence[Json], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name", "")
        if name:
            texts = names.port_name(name)
            yield from (causes.invalid(f"{where}.name", name, text) for text in texts)
            if not texts and name in seen:
                yield causes.duplicate(f"{where}.name", name)
            seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            yield causes.required(f"{where}.containerPort")
        else:
            for text in names.port_number(number):
                yield causes.invalid(f"{where}.containerPort", number, text)
        if port.get("hostPort"):
            for text in names.port_number(port["hostPort"]):
                yield causes.invalid(f"{where}.hostPort", port["hostPort"], text)
        if port["protocol"] not in _PROTOCOLS:
            yield causes.not_supported(f"{where}.protocol", port["protocol"], _PROTOCOLS)


def _environment(variables: Sequence[Json], path: str) -> Iterator[Cause]:
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            yield causes.required(f"{where}.name")
        else:
            texts = names.environment_variable(name)
            yield from (causes.invalid(f"{where}.name", name, text) for text in texts)
        source = variable.get("valueFrom")
        if source is None:
            continue
        at = f"{where}.valueFrom"
        if "fieldRef" in source:
            yield from _field_reference(source["fieldRef"], f"{at}.fieldRef")
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if kind in source:
                yield from _key_reference(source[kind], f"{at}.{kind}")
        if not source:
            text = (
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                "`secretKeyRef` or `fileKeyRef`"
            )
            yield causes.invalid(at, "", text)
        elif variable.get("value"):
            yield causes.invalid(at, "", "may not be specified when `value` is not empty")
        elif len(source) > 1:
            yield causes.invalid(at, "", "may not have more than one field specified at a time")


def _field_reference(reference: Json, path: str) -> Iterator[Cause]:
    field = reference.get("fieldPath", "")
    if not field:
        yield causes.required(f"{path}.fieldPath")
        return
    if field.startswith(("metadata.labels[", "metadata.annotations[")):
        return
    if field in _ENV_FIELDS:
        return
    if field in ("metadata.labels", "metadata.annotations"):
        yield causes.not_supported(f"{path}.fieldPath", field, _ENV_FIELDS)
        return
    text = f"error converting fieldPath: field label not supported: {field}"
    yield causes.invalid(f"{path}.fieldPath", field, text)


def _key_reference(reference: Json, path: str) -> Iterator[Cause]:
    name, key = reference.get("name", ""), reference.get("key", "")
    yield from (causes.invalid(f"{path}.name", name, t) for t in names.dns_subdomain(name))
    if not key:
        yield causes.required(f"{path}.key")
    else:
        yield from (causes.invalid(f"{path}.key", key, t) for t in names.config_key(key))


def _environment_from(sources: Sequence[Json], path: str) -> Iterator[Cause]:
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        if source.get("prefix"):
            for text in names.environment_variable(source["prefix"]):
                yield causes.invalid(f"{where}.prefix", source["prefix"], text)
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            name = source[kind].get("name", "")
            if not name:
                yield causes.required(f"{where}.{kind}.name")
            else:
                for text in names.dns_subdomain(name):
                    yield causes.invalid(f"{where}.{kind}.name", name, text)
        if not kinds:
            yield causes.invalid(where, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            yield causes.invalid(where, "", "may not have more than one field specified at a time")


def _mounts(mounts: Sequence[Json], volumes: Mapping[str, Json], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, at = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield causes.required(f"{where}.name")
        if name not in volumes:
            yield causes.not_found(f"{where}.name", name)
        if not at:
            yield causes.required(f"{where}.mountPath")
        if at in seen:
            yield causes.invalid(f"{where}.mountPath", at, "must be unique")
        seen.add(at)
        below = mount.get("subPath", "")
        if below.startswith("/"):
            yield causes.invalid(f"{path}.subPath", below, "must be a relative path")
        if ".." in below.split("/"):
            yield causes.invalid(f"{path}.subPath", below, "must not contain '..'")


def resources(requirements: Json, path: str) -> Iterator[Cause]:
    """What is wrong with the requests and limits of a container."""
    limits = requirements.get("limits") or {}
    for name, text in limits.items():
        yield from _resource(name, text, f"{path}.limits[{name}]")
    for name, text in (requirements.get("requests") or {}).items():
        yield from _resource(name, text, f"{path}.requests[{name}]")
        limit = limits.get(name)
        overcommitted = "/" not in name and not name.startswith("hugepages-")
        if limit is not None:
            requested, allowed = quantity.value_of(text), quantity.value_of(limit)
            if not overcommitted and requested != allowed:
                told = f"must be equal to {name} limit of {limit}"
                yield causes.invalid(f"{path}.requests", text, told)
            elif requested > allowed:
                told = f"must be less than or equal to {name} limit of {limit}"
                yield causes.invalid(f"{path}.requests", text, told)
        elif not overcommitted:
            told = "Limit must be set for non overcommitable resources"
            yield causes.required(f"{path}.limits", told)


def _resource(name: str, text: str, path: str) -> Iterator[Cause]:
    bad = names.qualified_name(name)
    yield from (causes.invalid(path, name, told) for told in bad)
    if "/" not in name and name not in _STANDARD_RESOURCES and not name.startswith("hugepages-"):
        if not bad:
            told = "must be a standard resource type or fully qualified"
            yield causes.invalid(path, name, told)
        yield causes.invalid(path, name, "must be a standard resource for containers")
    value = quantity.value_of(text)
    yield from nonnegative_quantity(value, text, path)
    if "/" in name and value != int(value):
        yield causes.invalid(path, text, "must be an integer")


def nonnegative_quantity(value: Decimal, text: str, path: str) -> Iterator[Cause]:
    """A quantity that may not be negative."""
    if value < 0:
        yield causes.invalid(path, text, "must be greater than or equal to 0")


def _security(context: Json, path: str) -> Iterator[Cause]:
    for field in ("runAsUser", "runAsGroup"):
        yield from _identity(context.get(field), f"{path}.{field}")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield causes.invalid(path, _internal_security(context), text)
        elif "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            text = (
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                "CAP_SYS_ADMIN"
            )
            yield causes.invalid(path, _internal_security(context), text)
    yield from _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")


_SECURITY_FIELDS = (
    "Capabilities",
    "Privileged",
    "SELinuxOptions",
    "WindowsOptions",
    "RunAsUser",
    "RunAsGroup",
    "RunAsNonRoot",
    "ReadOnlyRootFilesystem",
    "AllowPrivilegeEscalation",
    "ProcMount",
    "SeccompProfile",
    "AppArmorProfile",
)


def _internal_security(context: Json) -> Json:
    # The server shows its internal type, whose fields are all there and in upper case.
    lower = {name.lower(): value for name, value in context.items()}
    return {name: lower.get(name.lower()) for name in _SECURITY_FIELDS}


def _pod_security(context: Json, path: str) -> Iterator[Cause]:
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        yield from _identity(context.get(field), f"{path}.{field}")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from _identity(group, f"{path}.supplementalGroups[{index}]")
    yield from _seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")


def _identity(value: int | None, path: str) -> Iterator[Cause]:
    if value is not None and not 0 <= value <= 2**31 - 1:
        yield causes.invalid(path, value, "must be between 0 and 2147483647, inclusive")


def _seccomp(profile: Json | None, path: str) -> Iterator[Cause]:
    if profile is None:
        return
    supported = ("Localhost", "RuntimeDefault", "Unconfined")
    kind = profile.get("type", "")
    if kind == "Localhost":
        if not profile.get("localhostProfile"):
            text = "must be set when seccomp type is Localhost"
            yield causes.required(f"{path}.localhostProfile", text)
    elif "localhostProfile" in profile:
        text = "can only be set when seccomp type is Localhost"
        yield causes.invalid(f"{path}.localhostProfile", profile["localhostProfile"], text)
    if not kind:
        yield causes.required(f"{path}.type", "type is required when seccompProfile is set")
    elif kind not in supported:
        yield causes.not_supported(f"{path}.type", kind, supported)


# Probes and hooks


def _probes(container: Json, grace_s: int, path: str) -> Iterator[Cause]:
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            yield from _handler(handler, grace_s, f"{path}.lifecycle.{hook}")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        where = f"{path}.{name}"
        yield from _handler(probe, grace_s, where)
        for field in (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ):
            yield from nonnegative(probe.get(field), f"{where}.{field}")
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            text = "must be greater than 0"
            yield causes.invalid(f"{where}.terminationGracePeriodSeconds", grace, text)
        if name == "readinessProbe":
            if grace is not None:
                text = "must not be set for readinessProbes"
                yield causes.invalid(f"{where}.terminationGracePeriodSeconds", grace, text)
        elif probe["successThreshold"] != 1:
            value = probe["successThreshold"]
            yield causes.invalid(f"{where}.successThreshold", value, "must be 1")


def _handler(handler: Json, grace_s: int, path: str) -> Iterator[Cause]:
    kinds = [k for k in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if k in handler]
    for kind in kinds[1:]:
        text = "may not specify more than 1 handler type"
        yield causes.forbidden(f"{path}.{kind}", text)
    if not kinds:
        yield causes.required(path, "must specify a handler type")
        return
    kind, where = kinds[0], f"{path}.{kinds[0]}"
    action = handler[kind]
    match kind:
        case "exec":
            if not action.get("command"):
                yield causes.required(f"{where}.command")
        case "httpGet":
            yield from port_or_name(action["port"], f"{where}.port")
            if action["scheme"] not in ("HTTP", "HTTPS"):
                supported = ("HTTP", "HTTPS")
                yield causes.not_supported(f"{where}.scheme", action["scheme"], supported)
            for header in action.get("httpHeaders") or ():
                name = header.get("name", "")
                for text in names.http_header(name):
                    yield causes.invalid(f"{where}.httpHeaders", name, text)
        case "tcpSocket":
            yield from port_or_name(action["port"], f"{where}.port")
        case "grpc":
            yield from port_or_name(action["port"], f"{where}.port")
        case _:
            seconds = action["seconds"]
            if not 0 <= seconds <= grace_s:
                text = (
                    f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
                )
                yield causes.invalid(where, seconds, text)


# Volumes


def _volumes(volumes: Sequence[Json], valid: dict[str, Json], path: str) -> Iterator[Cause]:
    """Fills ``valid`` with the volumes that mounts may name: those without a cause."""
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        found = list(_volume_source(volume, where))
        name = volume.get("name", "")
        if not name:
            found.append(causes.required(f"{where}.name"))
        else:
            found += [causes.invalid(f"{where}.name", name, t) for t in names.dns_label(name)]
        if name in valid:
            found.append(causes.duplicate(f"{where}.name", name))
        if not found:
            valid[name] = volume
        yield from found


def _volume_source(volume: Json, path: str) -> Iterator[Cause]:
    kinds = [kind for kind in _VOLUMES if kind in volume]
    for kind in kinds[1:]:
        yield causes.forbidden(f"{path}.{kind}", "may not specify more than 1 volume type")
    if not kinds:
        yield causes.required(path, "must specify a volume type")
        return
    kind, where = kinds[0], f"{path}.{kinds[0]}"
    source = volume[kind]
    match kind:
        case "configMap":
            if not source.get("name"):
                yield causes.required(f"{where}.name")
            yield from _mode_and_items(source, where)
        case "secret":
            if not source.get("secretName"):
                yield causes.required(f"{where}.secretName")
            yield from _mode_and_items(source, where)
        case "persistentVolumeClaim":
            if not source.get("claimName"):
                yield causes.required(f"{where}.claimName")
        case "hostPath":
            if not source.get("path"):
                yield causes.required(f"{where}.path")
        case "emptyDir":
            limit = source.get("sizeLimit")
            if limit is not None and quantity.value_of(limit) < 0:
                text = "SizeLimit field must be a valid resource quantity"
                yield causes.forbidden(f"{where}.sizeLimit", text)


def _mode_and_items(source: Json, path: str) -> Iterator[Cause]:
    mode = source.get("defaultMode")
    range_text = "must be a number between 0 and 0777 (octal), both inclusive"
    if mode is not None and not 0 <= mode <= 0o777:
        yield causes.invalid(f"{path}.defaultMode", mode, range_text)
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        if not item.get("key"):
            yield causes.required(f"{where}.key")
        if not item.get("path"):
            yield causes.required(f"{where}.path")
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            yield causes.invalid(f"{where}.mode", mode, range_text)


# Placement


def _tolerations(tolerations: Sequence[Json], path: str) -> Iterator[Cause]:
    for index, toleration in enumerate(tolerations):
        where = f"{path}[{index}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            texts = names.qualified_name(key)
            yield from (causes.invalid(f"{where}.key", key, text) for text in texts)
        elif operator != "Exists":
            text = (
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"'
            )
            yield causes.invalid(f"{where}.operator", operator, text)
        if "tolerationSeconds" in toleration and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield causes.invalid(f"{where}.effect", effect, text)
        if operator in ("Equal", ""):
            texts = names.label_value(value)
            if texts:
                yield causes.invalid(f"{where}.operator", value, ";".join(texts))
        elif operator == "Exists":
            if value:
                text = "value must be empty when `operator` is 'Exists'"
                yield causes.invalid(f"{where}.operator", value, text)
        elif operator not in ("Lt", "Gt"):
            yield causes.not_supported(f"{where}.operator", operator, ("Equal", "Exists"))
        if effect and effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            supported = ("NoSchedule", "PreferNoSchedule", "NoExecute")
            yield causes.not_supported(f"{where}.effect", effect, supported)


def _spread(constraints: Sequence[Json], path: str) -> Iterator[Cause]:
    for index, constraint in enumerate(constraints):
        where = f"{path}[{index}]"
        skew = constraint.get("maxSkew", 0)
        if skew <= 0:
            yield causes.invalid(f"{where}.maxSkew", skew, "must be greater than zero")
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if not key:
            yield causes.required(f"{where}.topologyKey", "can not be empty")
        else:
            texts = names.qualified_name(key)
            yield from (causes.invalid(f"{where}.topologyKey", key, t) for t in texts)
        supported = ("DoNotSchedule", "ScheduleAnyway")
        if action not in supported:
            yield causes.not_supported(f"{where}.whenUnsatisfiable", action, supported)
        pair = (key, action)
        if pair in [
            (c.get("topologyKey", ""), c.get("whenUnsatisfiable", ""))
            for c in constraints[index + 1 :]
        ]:
            at = f"{where}.{{topologyKey, whenUnsatisfiable}}"
            yield causes.duplicate(at, f"{{{key}, {action}}}")
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                yield causes.invalid(f"{where}.minDomains", domains, "must be greater than zero")
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                yield causes.invalid(f"{where}.minDomains", domains, text)
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = constraint.get(field)
            if policy is not None and policy not in ("Honor", "Ignore"):
                yield causes.not_supported(f"{where}.{field}", policy, ("Honor", "Ignore"))
        yield from _match_label_keys(constraint, where)
        yield from label_selector(constraint.get("labelSelector"), f"{where}.labelSelector")


def _match_label_keys(constraint: Json, path: str) -> Iterator[Cause]:
    keys = constraint.get("matchLabelKeys") or ()
    if keys and "labelSelector" not in constraint:
        text = "must not be specified when labelSelector is not set"
        yield causes.forbidden(f"{path}.matchLabelKeys", text)
    for index, key in enumerate(keys):
        for text in names.qualified_name(key):
            yield causes.invalid(f"{path}.matchLabelKeys[{index}]", key, text)


def _affinity(affinity: Json, path: str) -> Iterator[Cause]:
    node = affinity.get("nodeAffinity") or {}
    required = node.get(f"required{_DURING}")
    if required is not None:
        where = f"{path}.nodeAffinity.required{_DURING}.nodeSelectorTerms"
        terms = required.get("nodeSelectorTerms") or ()
        if not terms:
            yield causes.required(where, "must have at least one node selector term")
        for index, term in enumerate(terms):
            yield from _node_term(term, f"{where}[{index}]")
    for index, preferred in enumerate(node.get(f"preferred{_DURING}") or ()):
        where = f"{path}.nodeAffinity.preferred{_DURING}[{index}]"
        yield from _weight(preferred, where)
        yield from _node_term(preferred.get("preference") or {}, f"{where}.preference")
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        for index, term in enumerate(rules.get(f"required{_DURING}") or ()):
            yield from _pod_term(term, f"{path}.{kind}.required{_DURING}[{index}]")
        for index, preferred in enumerate(rules.get(f"preferred{_DURING}") or ()):
            where = f"{path}.{kind}.preferred{_DURING}[{index}]"
            yield from _weight(preferred, where)
            yield from _pod_term(preferred["podAffinityTerm"], f"{where}.podAffinityTerm")


_DURING = "DuringSchedulingIgnoredDuringExecution"


def _weight(preferred: Json, path: str) -> Iterator[Cause]:
    weight = preferred.get("weight", 0)
    if not 1 <= weight <= 100:
        yield causes.invalid(f"{path}.weight", weight, "must be in the range 1-100")


def _node_term(term: Json, path: str) -> Iterator[Cause]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator", ""), expression.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be specified when `operator` is 'In' or 'NotIn'"
                yield causes.required(f"{where}.values", text)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield causes.forbidden(f"{where}.values", text)
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield causes.required(f"{where}.values", text)
        else:
            text = "not a valid selector operator"
            yield causes.invalid(f"{where}.operator", operator, text)
        key = expression.get("key", "")
        texts = names.qualified_name(key)
        yield from (causes.invalid(f"{where}.key", key, text) for text in texts)


def _pod_term(term: Json, path: str) -> Iterator[Cause]:
    yield from label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    yield from label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        for text in names.dns_label(namespace):
            yield causes.invalid(f"{path}.namespace", namespace, text)
    yield from _match_label_keys(term, path)
    key = term.get("topologyKey", "")
    if not key:
        yield causes.required(f"{path}.topologyKey", "can not be empty")
    texts = names.qualified_name(key)
    yield from (causes.invalid(f"{path}.topologyKey", key, text) for text in texts)
