"""Readings of API objects that several controllers share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from prism_operator.api.meta import Json, ReadOnlyJson, Ref, Resource, controller_uid_of, uid_of

SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(unix_us: int) -> str:
    """The API's way to write a time: whole seconds, rounded down."""
    return _timestamp(unix_us // 1_000_000)


@lru_cache(maxsize=4096)
def _timestamp(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=65536)
def unix_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time in UTC, with up to nine decimals."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    seconds = (moment - _EPOCH).days * 86_400 + (moment - _EPOCH).seconds
    return seconds * SECOND_NS + int(fraction.ljust(9, "0") or 0)


def micro_time(unix_us: int) -> str:
    """The API's MicroTime, as Leases and Events carry it."""
    return f"{_timestamp(unix_us // 1_000_000)[:-1]}.{unix_us % 1_000_000:06d}Z"


def created_ns(obj: ReadOnlyJson) -> int:
    """When an object was created, in nanoseconds since 1970."""
    return unix_ns(obj["metadata"]["creationTimestamp"])


def by_age(obj: ReadOnlyJson) -> tuple[int, str]:
    """Sort key: oldest first, ties by name."""
    return created_ns(obj), obj["metadata"]["name"]


def condition(obj: ReadOnlyJson, type_: str) -> ReadOnlyJson | None:
    """The condition of a type in an object's status, if it is there."""
    for c in (obj.get("status") or {}).get("conditions") or ():
        if c["type"] == type_:
            return c  # type: ignore[no-any-return]
    return None


def is_true(obj: ReadOnlyJson, type_: str) -> bool:
    """Whether the condition of a type has the status True."""
    c = condition(obj, type_)
    return c is not None and c["status"] == "True"


def phase(pod: ReadOnlyJson) -> str:
    """A pod's phase."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def node_of(pod: ReadOnlyJson) -> str:
    """The node a pod is bound to, or ``""``."""
    return str(pod["spec"].get("nodeName", ""))


def is_deleting(obj: ReadOnlyJson) -> bool:
    """Whether an object carries a deletionTimestamp."""
    return "deletionTimestamp" in obj["metadata"]


def is_terminal(pod: ReadOnlyJson) -> bool:
    """Whether a pod has ended."""
    return phase(pod) in ("Failed", "Succeeded")


def is_active(pod: ReadOnlyJson) -> bool:
    """Whether a pod counts as a replica."""
    return not is_terminal(pod) and not is_deleting(pod)


def is_terminating(pod: ReadOnlyJson) -> bool:
    """Whether a pod still runs although it is deleted."""
    return not is_terminal(pod) and is_deleting(pod)


def is_ready(pod: ReadOnlyJson) -> bool:
    """Whether a pod's Ready condition is True."""
    return is_true(pod, "Ready")


def ready_since_ns(pod: ReadOnlyJson) -> int | None:
    """When a ready pod became ready; None for one that is not, or does not say."""
    c = condition(pod, "Ready")
    if c is None or c["status"] != "True" or not c.get("lastTransitionTime"):
        return None
    return unix_ns(c["lastTransitionTime"])


def restarts(pod: ReadOnlyJson) -> int:
    """How often the containers of a pod were started again, in total."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(s.get("restartCount", 0) for s in statuses)


def int_or_percent(value: int | str, total: int, *, round_up: bool) -> int:
    """A number as it stands, or a percentage of ``total`` (apimachinery's intstr)."""
    if isinstance(value, int):
        return value
    numerator = int(value.removesuffix("%")) * total
    return -(-numerator // 100) if round_up else numerator // 100


def matches(selector: ReadOnlyJson | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects these labels; null selects nothing, empty everything."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(_requirement_met(r, labels) for r in selector.get("matchExpressions") or ())


def _requirement_met(requirement: ReadOnlyJson, labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"label selector operator {other!r} is unknown")


def labels_of(obj: ReadOnlyJson) -> Mapping[str, str]:
    """An object's labels."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: ReadOnlyJson) -> Mapping[str, str]:
    """An object's annotations."""
    return obj["metadata"].get("annotations") or {}


def without_zeros(fields: Mapping[str, Any]) -> Json:
    """The fields as JSON's omitempty leaves them."""
    return {k: v for k, v in fields.items() if v not in (None, 0, [], {}, "")}


def with_metadata(obj: Json, **changes: Any) -> Json:
    """A copy with some fields of its metadata set."""
    return {**obj, "metadata": {**obj["metadata"], **changes}}


def with_status(obj: Json, status: Json) -> Json:
    """A copy with another status."""
    return {**obj, "status": status}


def owner_reference(owner: ReadOnlyJson) -> Json:
    """The reference of an object that its controller makes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_ref(child: ReadOnlyJson, resource: Resource) -> tuple[Ref, str] | None:
    """Where the controller of ``child`` should be and its uid, if it is of this resource."""
    for owner in child["metadata"].get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] == resource.kind:
            namespace = child["metadata"].get("namespace", "")
            return Ref(resource, namespace, owner["name"]), str(owner["uid"])
    return None


def is_controlled_by(child: ReadOnlyJson, owner: ReadOnlyJson) -> bool:
    """Whether ``owner`` is the controller of ``child``."""
    return controller_uid_of(child) == uid_of(owner)


def total(objects: Iterable[ReadOnlyJson], *path: str) -> int:
    """The sum of one number over objects; absent is 0."""
    result = 0
    for obj in objects:
        value: Any = obj
        for field in path:
            value = (value or {}).get(field)
        result += value or 0
    return result


def replace_condition(conditions: Sequence[Json], new: Json) -> list[Json]:
    """Conditions with one type replaced; the new one stands last, as the real controllers do."""
    return [*(c for c in conditions if c["type"] != new["type"]), new]
