"""Reads what a diagnosis needs: by label and by owner, never a Secret, and never more than that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from prism_operator.adapters.connection import Connection
from prism_operator.adapters.reader import HttpReader
from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    REPLICA_SET,
    SCALED_OBJECT,
    SERVICE,
    Json,
    Ref,
    Resource,
)
from prism_operator.diagnosis.facts import (
    ENDPOINT_SLICES,
    EVENTS,
    LEASE_PREFIX,
    OPERATOR_LABEL,
    Facts,
    Seen,
    Unread,
)
from prism_operator.diagnosis.redaction import Redactor
from prism_operator.planning.names import admin_name, proxy_name
from prism_operator.ports import Clock, Failed, Listed, Ok, Reason

OPERATOR_NAMESPACE: Final = "prism-system"
EVERYTHING: Final = "app.kubernetes.io/part-of=prism"
_OPERATOR: Final = "Operator"
_CHILDREN: Final = (
    DEPLOYMENT,
    REPLICA_SET,
    POD,
    SERVICE,
    ENDPOINT_SLICES,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
)


class Gatherer:
    """Reads one cluster. What it may not read it remembers, and goes on."""

    def __init__(
        self, connection: Connection, clock: Clock, operator_namespace: str | None = None
    ) -> None:
        self._connection, self._clock = connection, clock
        self._reader: HttpReader = connection.reader()
        self._operator_namespace = operator_namespace

    def find(self, ref: Ref) -> Json | Failed:
        """One Prism object, secrets and all: it is for ``facts_about``."""
        outcome = self._reader.get(ref)
        return outcome if isinstance(outcome, Failed) else _typed(outcome.obj, ref.resource)

    def facts_about(self, subject: Json) -> Facts:
        """What there is to know about one Prism object, without secrets."""
        meta = subject["metadata"]
        namespace, name = meta["namespace"], meta["name"]
        pass_ = _Pass(self._reader)
        pass_.keep(subject)
        match subject["kind"]:
            case "PrismStack":
                self._read_children(pass_, namespace, f"stack={name}", (*PRISM_RESOURCES[1:],))
                for foreign in _names_of(subject):
                    pass_.get(Ref(DEPLOYMENT, namespace, foreign))
            case "PrismPattern":
                self._read_children(pass_, namespace, f"app=prism,runner={name}", ())
                pass_.get(Ref(DEPLOYMENT, namespace, name))
                for owner in meta.get("ownerReferences") or ():
                    if owner.get("controller") and owner["kind"] == PRISM_STACK.kind:
                        pass_.get(Ref(PRISM_STACK, namespace, owner["name"]))
        if pass_.of_kind(POD):
            pass_.list(NODE)
        pass_.list(EVENTS, namespace)
        self._read_operator(pass_, namespace)
        seen, _ = self._seen(pass_)
        return Facts(seen.by_key[subject["kind"], namespace, name], seen)

    def everything(self, namespace: str) -> tuple[Seen, Redactor]:
        """All Prism objects of a namespace (``""``: of all) with their children, without secrets.

        Texts from elsewhere, such as logs, have to go through the redactor.
        """
        pass_ = _Pass(self._reader)
        self._read_children(pass_, namespace, EVERYTHING, ())
        for resource in PRISM_RESOURCES:
            pass_.list(resource, namespace)
        for stack in pass_.of_kind(PRISM_STACK):
            for foreign in _names_of(stack):
                pass_.get(Ref(DEPLOYMENT, stack["metadata"]["namespace"], foreign))
        for pattern in pass_.of_kind(PRISM_PATTERN):
            meta = pattern["metadata"]
            pass_.get(Ref(DEPLOYMENT, meta["namespace"], meta["name"]))
        pass_.list(NODE)
        pass_.list(EVENTS, namespace)
        self._read_operator(pass_, namespace)
        return self._seen(pass_)

    def _read_children(
        self, pass_: _Pass, namespace: str, labels: str, prism: Sequence[Resource]
    ) -> None:
        for resource in (*prism, *_CHILDREN):
            pass_.list(resource, namespace, labels)
        for scaled in pass_.of_kind(SCALED_OBJECT):
            # KEDA's own labels on it, not ours.
            if name := (scaled.get("status") or {}).get("hpaName"):
                pass_.get(Ref(HORIZONTAL_POD_AUTOSCALER, scaled["metadata"]["namespace"], name))

    def _read_operator(self, pass_: _Pass, namespace: str) -> None:
        """The operator's Deployment and pods wherever they are, and its Lease where it may be."""
        labels = "=".join(OPERATOR_LABEL)
        everywhere = "" if self._operator_namespace is None else self._operator_namespace
        found = self._reader.list(DEPLOYMENT, everywhere, labels=labels)
        homes = {self._operator_namespace or OPERATOR_NAMESPACE}
        if isinstance(found, Listed):
            homes |= {obj["metadata"]["namespace"] for obj in found.items}
        for home in sorted(homes):
            for resource in (DEPLOYMENT, REPLICA_SET, POD):
                pass_.list(resource, home, labels, kind=_OPERATOR)
            if home != namespace and namespace and pass_.of_kind(POD, home):
                pass_.list(EVENTS, home, kind=_OPERATOR)
        if self._operator_namespace is None:
            # Where one lies that runs out of the cluster.
            homes |= {self._connection.namespace or "default", namespace} - {""}
        for home in sorted(homes):
            pass_.list(LEASE, home, kind=_OPERATOR, prefix=LEASE_PREFIX)
        pass_.operator_namespaces = tuple(sorted(homes))

    def _seen(self, pass_: _Pass) -> tuple[Seen, Redactor]:
        redactor = Redactor.of([*pass_.objects.values(), *pass_.events])
        seen = Seen(
            now=self._connection.server_time() or self._clock.now(),
            objects=tuple(redactor.obj(obj) for obj in pass_.objects.values()),
            events=tuple(redactor.obj(event) for event in pass_.events),
            unread=tuple(sorted(pass_.unread)),
            unserved=frozenset(pass_.unserved),
            operator_namespaces=pass_.operator_namespaces,
        )
        return seen, redactor


@dataclass
class _Pass:
    """What one pass over the cluster found; an object read twice is there once."""

    reader: HttpReader
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    unread: set[Unread] = field(default_factory=set)
    unserved: set[str] = field(default_factory=set)
    operator_namespaces: tuple[str, ...] = ()

    def keep(self, obj: Json) -> None:
        meta = obj["metadata"]
        self.objects[obj["kind"], meta.get("namespace", ""), meta["name"]] = obj

    def of_kind(self, resource: Resource, namespace: str = "") -> list[Json]:
        return [
            obj
            for (kind, where, _), obj in self.objects.items()
            if kind == resource.kind and namespace in ("", where)
        ]

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        labels: str = "",
        *,
        kind: str = "",
        prefix: str = "",
    ) -> None:
        """Lists; ``kind`` is what it is missed as when it cannot be read."""
        listed = self.reader.list(resource, namespace, labels=labels)
        match listed:
            case Listed(items=items) if resource == EVENTS:
                self.events += items
            case Listed(items=items):
                for obj in items:
                    if obj["metadata"]["name"].startswith(prefix):
                        self.keep(obj)
            case Failed(reason=Reason.NO_KIND):
                self.unserved.add(resource.kind)
            case Failed() as failed:
                self._miss(resource, namespace, failed, kind)

    def get(self, ref: Ref) -> None:
        """Gets one object, unless it was read already."""
        if (ref.resource.kind, ref.namespace, ref.name) in self.objects:
            return
        match self.reader.get(ref):
            case Ok(obj):
                self.keep(_typed(obj, ref.resource))
            case Failed(reason=Reason.NOT_FOUND | Reason.NO_KIND):
                pass
            case Failed() as failed:
                self._miss(ref.resource, ref.namespace, failed, "")

    def _miss(self, resource: Resource, namespace: str, failed: Failed, kind: str) -> None:
        where = f" in namespace {namespace}" if namespace else ""
        why = (
            f"no permission to list {resource.plural}"
            if failed.reason is Reason.FORBIDDEN
            else failed.message
        )
        self.unread.add(Unread(f"{resource.plural}{where}", why, kind or resource.kind))


def _typed(obj: Json, resource: Resource) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _names_of(stack: Json) -> Iterable[str]:
    """The names of the Deployments a stack wants, which others may hold."""
    name = stack["metadata"]["name"]
    yield proxy_name(name)
    if stack["spec"].get("admin") is not None:
        yield admin_name(name)
