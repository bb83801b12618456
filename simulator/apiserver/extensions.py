"""CustomResourceDefinitions: what the server itself does when one is stored or goes.

The real server's controllers do this within moments of the write; here it is done with it. Source:
``k8s.io/apiextensions-apiserver/pkg/controller``.
"""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import CUSTOM_RESOURCE_DEFINITION, Json
from simulator.apiserver.causes import INVALID, Cause, SchemaError
from simulator.apiserver.custom import custom_kinds
from simulator.apiserver.deletion import CRD_CLEANUP
from simulator.apiserver.registry import Registry
from simulator.apiserver.request import DeleteOptions
from simulator.apiserver.statuses import invalid, method_not_allowed
from simulator.apiserver.types import Catalog, Kind

_NAMES_ACCEPTED: Final = {
    "type": "NamesAccepted",
    "status": "True",
    "reason": "NoConflicts",
    "message": "no conflicts found",
}
_ESTABLISHED: Final = {
    "type": "Established",
    "status": "True",
    "reason": "InitialNamesAccepted",
    "message": "the initial names have been accepted",
}


class Extensions:
    """Keeps the catalog of served kinds in step with the stored CustomResourceDefinitions."""

    def __init__(self, registry: Registry, catalog: Catalog) -> None:
        self._registry = registry
        self._catalog = catalog
        self._terminating: set[tuple[str, str]] = set()

    def fork(self, registry: Registry, catalog: Catalog) -> Extensions:
        """The same over a fork of the registry and of the catalog."""
        twin = Extensions(registry, catalog)
        twin._terminating = set(self._terminating)
        return twin

    def check(self, obj: Json) -> None:
        """Refuses a definition whose schema or rules cannot be honoured."""
        if obj["kind"] != CUSTOM_RESOURCE_DEFINITION.kind:
            return
        try:
            custom_kinds(obj)
        except SchemaError as error:
            cause = Cause(INVALID, f"Invalid value: {error}", "spec.versions")
            resource = CUSTOM_RESOURCE_DEFINITION
            name = obj["metadata"].get("name", "")
            raise invalid(resource.group, resource.kind, name, [cause]) from None

    def require_open(self, kind: Kind) -> None:
        """Refuses a new object of a kind whose definition is being deleted."""
        resource = kind.resource
        if kind.custom and (resource.group, resource.plural) in self._terminating:
            action = "create not allowed while custom resource definition is terminating"
            raise method_not_allowed(resource, action)

    def reconcile(self, crd_kind: Kind, name: str) -> None:
        """Accepts, serves or removes the definition ``name`` as it now stands."""
        collection = self._registry.storage.collection(crd_kind.storage)
        crd = collection.objects.get(name)
        if crd is None:
            self._catalog.remove_crd(name)
            return
        spec = crd["spec"]
        if "deletionTimestamp" in crd["metadata"]:
            self._terminating.add((spec["group"], spec["names"]["plural"]))
            self._clean_up(crd_kind, crd)
            return
        crd = self._registry.store(crd_kind, "", self._accepted(crd))
        self._catalog.add_crd(crd)

    def removed(self, kind: Kind) -> None:
        """Goes on with a definition that waits for its last objects, if it does."""
        resource = kind.resource
        if (resource.group, resource.plural) not in self._terminating:
            return
        crd_kind = self._catalog.get(
            CUSTOM_RESOURCE_DEFINITION.group,
            CUSTOM_RESOURCE_DEFINITION.version,
            CUSTOM_RESOURCE_DEFINITION.plural,
        )
        if crd_kind is not None:
            self.reconcile(crd_kind, f"{resource.plural}.{resource.group}")

    def _accepted(self, crd: Json) -> Json:
        status = dict(crd.get("status") or {})
        names = dict(crd["spec"]["names"])
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
        status["acceptedNames"] = names
        stored = [v["name"] for v in crd["spec"]["versions"] if v.get("storage")]
        status["storedVersions"] = list(dict.fromkeys([*status.get("storedVersions", ()), *stored]))
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        now = self._registry.now()
        for condition in (_NAMES_ACCEPTED, _ESTABLISHED):
            conditions.setdefault(condition["type"], {**condition, "lastTransitionTime": now})
        status["conditions"] = list(conditions.values())
        return {**crd, "status": status}

    def _clean_up(self, crd_kind: Kind, crd: Json) -> None:
        """Deletes the objects of a terminating definition, and it when none is left."""
        spec, name = crd["spec"], crd["metadata"]["name"]
        served = [
            kind
            for version in spec["versions"]
            if (kind := self._catalog.get(spec["group"], version["name"], spec["names"]["plural"]))
        ]
        if served and CRD_CLEANUP in (crd["metadata"].get("finalizers") or ()):
            kind = served[0]
            for obj in self._registry.objects(kind):
                meta = obj["metadata"]
                if "deletionTimestamp" not in meta:
                    self._registry.delete(
                        kind, meta.get("namespace", ""), meta["name"], DeleteOptions()
                    )
            if list(self._registry.objects(kind)):
                return
        meta = crd["metadata"]
        finalizers = [f for f in meta.get("finalizers") or () if f != CRD_CLEANUP]
        if finalizers:
            if finalizers != meta.get("finalizers"):
                self._registry.store(
                    crd_kind, "", {**crd, "metadata": {**meta, "finalizers": finalizers}}
                )
            return
        storage = self._registry.storage
        storage.remove(storage.collection(crd_kind.storage), name)
        self._catalog.remove_crd(name)
        self._terminating.discard((spec["group"], spec["names"]["plural"]))
