"""Objects as the API server would return them; a test says only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prism_operator.api.meta import Json
from prism_operator.planning.observed import Failure, FrozenSnapshot, Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC)
SETTINGS = Settings()
NAMESPACE = "prism-system"


def a_prism_object(kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "1",
            **metadata,
        },
        "spec": spec,
    }


def a_stack(name: str = "demo", /, *, metadata: Json | None = None, **spec: Any) -> Json:
    return a_prism_object("PrismStack", name, spec, **(metadata or {}))


def a_pattern(name: str = "orders", /, *, metadata: Json | None = None, **spec: Any) -> Json:
    spec = {"pattern": "consumer", "backend": "kafka", **spec}
    return a_prism_object("PrismPattern", name, spec, **(metadata or {}))


def a_backend(name: str = "broker", /, *, metadata: Json | None = None, **spec: Any) -> Json:
    if "connection" not in spec:
        spec["connection"] = {"url": "kafka://kafka:9092"}
    spec = {"type": "messaging", "provider": "kafka", **spec}
    return a_prism_object("PrismBackend", name, spec, **(metadata or {}))


def owned(obj: Json, owner: Json) -> Json:
    """``obj`` with a controller reference to ``owner``."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def an_object(api_version: str, kind: str, name: str, **fields: Any) -> Json:
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{kind}-{name}",
        "resourceVersion": "7",
        **fields.pop("metadata", {}),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def observed(obj: Json, *others: Json, failures: tuple[Failure, ...] = ()) -> Observed:
    return Observed(obj, FrozenSnapshot([obj, *others]), failures)


def written(plan: Plan, kind: str, name: str) -> Json:
    """The object of that kind and name which the plan creates or applies."""
    for write in plan.writes:
        if write.ref.resource.kind == kind and write.ref.name == name:
            obj: Json = getattr(write, "obj")  # noqa: B009 - a Delete has none, which is a failure
            return obj
    told = ", ".join(str(write.ref) for write in plan.writes)
    raise AssertionError(f"the plan does not write {kind} {name}, but: {told}")


def condition(plan: Plan, kind: str) -> Json:
    """The condition of that type in the plan's status."""
    assert plan.status is not None, "the plan holds no status"
    found = [c for c in plan.status["conditions"] if c["type"] == kind]
    assert found, f"no condition {kind} among {[c['type'] for c in plan.status['conditions']]}"
    result: Json = found[0]
    return result


def pod_spec(deployment: Json) -> Json:
    spec: Json = deployment["spec"]["template"]["spec"]
    return spec


def container(deployment: Json) -> Json:
    found: Json = pod_spec(deployment)["containers"][0]
    return found


def env_of(deployment: Json) -> dict[str, Any]:
    """The container's environment: the value, or where it comes from."""
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(deployment)["env"]}
