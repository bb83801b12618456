"""What no write of an operator may do, judged from the cluster alone after each of them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    SCALED_OBJECT,
    Json,
    Ref,
    Resource,
    ref_of,
)
from simulator.apiserver.storage import Change

_SCALERS: Final = (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT)
_OPERATORS: Final = ("operator", "standby")
_ADOPT: Final = "prism.io/adopt"
_PAUSED: Final = "prism.io/paused"


class Checkers:
    """Notes violations, and counts what the end states of two runs are compared by."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.violations: list[str] = []
        self.created: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        # The pod templates that each Deployment went through, each a rollout, and the configuration
        # that the first pod of each finds.
        self.templates: dict[str, list[Json]] = {}

    def see(self, resource: Resource, change: Change, *, by: str) -> None:
        """Judges one change of the storage."""
        old, new = change.old, change.new
        obj = new or old
        assert obj is not None
        if resource.plural in (EVENT.plural, LEASE.plural):
            return
        ref = Ref(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if resource == DEPLOYMENT and new is not None:
            self._note_template(ref, new)
        if by not in _OPERATORS:
            return
        if old is None:
            self.created[str(ref)] += 1
        if old is not None and (new is None or (_is_deleting(new) and not _is_deleting(old))):
            self.deleted[str(ref)] += 1
        self._check_foreign(ref, old)
        self._check_paused(ref, obj, old, new)
        if resource == DEPLOYMENT and old is not None and new is not None:
            self._check_replicas(ref, old, new)
        if resource in _SCALERS and old is None:
            self._check_single(ref, obj)

    def _note_template(self, ref: Ref, deployment: Json) -> None:
        template = deployment["spec"]["template"]
        seen = self.templates.setdefault(str(ref), [])
        if not seen or seen[-1]["template"] != template:
            config = self._cluster.get(Ref(CONFIG_MAP, ref.namespace, f"{ref.name}-config"))
            seen.append({"template": template, "config": (config or {}).get("data")})

    def _check_foreign(self, ref: Ref, old: Json | None) -> None:
        if old is None or ref.resource in PRISM_RESOURCES:
            return
        owned = any(
            owner.get("controller") and owner["apiVersion"].startswith("prism.io/")
            for owner in old["metadata"].get("ownerReferences") or ()
        )
        if not owned and (old["metadata"].get("annotations") or {}).get(_ADOPT) != "true":
            self.violations.append(f"foreign {ref} was changed")

    def _check_paused(self, ref: Ref, obj: Json, old: Json | None, new: Json | None) -> None:
        if ref.resource in PRISM_RESOURCES and old is not None and new is not None:
            if old.get("spec") != new.get("spec") and _is_paused(old):
                self.violations.append(f"paused {ref} was changed")
            return
        for owner in obj["metadata"].get("ownerReferences") or ():
            for resource in (PRISM_STACK, PRISM_PATTERN):
                if owner["kind"] == resource.kind:
                    found = self._cluster.get(Ref(resource, ref.namespace, owner["name"]))
                    if found is not None and _is_paused(found):
                        self.violations.append(f"{ref} of a paused owner was changed")

    def _check_replicas(self, ref: Ref, old: Json, new: Json) -> None:
        before, after = old["spec"].get("replicas", 1), new["spec"].get("replicas", 1)
        least = min(before, self._target_of(ref, before))
        if after < least:
            self.violations.append(f"{ref}: from {before} to {after} replicas, below {least}")

    def _target_of(self, ref: Ref, before: int) -> int:
        """The least number that the spec asks for; the present one when nobody asks."""
        pattern = self._cluster.get(Ref(PRISM_PATTERN, ref.namespace, ref.name))
        component = None if pattern is None else pattern["spec"]
        for part in ("proxy", "admin"):
            if ref.name.endswith(f"-{part}"):
                name = ref.name.removesuffix(f"-{part}")
                stack = self._cluster.get(Ref(PRISM_STACK, ref.namespace, name))
                component = None if stack is None else stack["spec"].get(part)
        if component is None:
            return before
        scaling = component.get("autoscaling") or {}
        if scaling.get("enabled", bool(scaling)):
            return int(scaling.get("minReplicas", 1))
        return int(component.get("replicas", 1))

    def _check_single(self, ref: Ref, made: Json) -> None:
        target = made["spec"]["scaleTargetRef"]["name"]
        others = [
            other
            for other in self._cluster.scalers()
            if ref_of(other) != ref and other["spec"]["scaleTargetRef"]["name"] == target
        ]
        if others:
            self.violations.append(f"{ref} was created beside {ref_of(others[0])}")


def _is_deleting(obj: Json) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _is_paused(obj: Json) -> bool:
    return (obj["metadata"].get("annotations") or {}).get(_PAUSED) == "true"
