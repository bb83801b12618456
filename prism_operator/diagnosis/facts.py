"""What was read of a cluster about one object and all it brought about: a diagnosis' input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from prism_operator.api.meta import Json, ReadOnlyJson, Resource, controller_uid_of, uid_of
from prism_operator.diagnosis.ages import parse_time

# core/v1, as kubectl reads Events: the role "view" may not read the newer group.
EVENTS: Final = Resource("", "v1", "Event", "events")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
OPERATOR_LABEL: Final = ("app.kubernetes.io/name", "prism-operator")
LEASE_PREFIX: Final = "prism-operator-leader"

Key = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True, slots=True, order=True)
class Unread:
    """What could not be read, and why."""

    what: str  # like "pods in namespace shop"
    why: str
    kind: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of a cluster, free of secrets (``redaction``).

    Objects carry ``apiVersion`` and ``kind``. ``unserved`` are the kinds that the server does not
    know; ``operator_namespaces`` is where an operator was looked for.
    """

    now: datetime
    objects: Sequence[Json] = ()
    events: Sequence[Json] = ()
    unread: Sequence[Unread] = ()
    unserved: frozenset[str] = frozenset()
    operator_namespaces: Sequence[str] = ("prism-system",)

    @cached_property
    def by_key(self) -> dict[Key, Json]:
        """The objects, by kind, namespace and name."""
        return dict(sorted(((key_of(o), o) for o in self.objects), key=_first))

    @cached_property
    def by_owner(self) -> dict[str, list[Json]]:
        """The objects, by the uid of their controller."""
        found: dict[str, list[Json]] = {}
        for obj in self.by_key.values():
            if owner := controller_uid_of(obj):
                found.setdefault(owner, []).append(obj)
        return found

    @cached_property
    def by_kind(self) -> dict[str, list[Json]]:
        """The objects, by kind."""
        found: dict[str, list[Json]] = {}
        for (kind, _, _), obj in self.by_key.items():
            found.setdefault(kind, []).append(obj)
        return found

    @cached_property
    def by_regarding(self) -> dict[str, list[Json]]:
        """The Events, the latest first, by the uid of what they are about."""
        found: dict[str, list[Json]] = {}
        for event in sorted(self.events, key=_event_order, reverse=True):
            found.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
        return found


@dataclass(frozen=True, slots=True)
class Facts:
    """One object, and what was read of what it brought about and depends on."""

    subject: Json
    seen: Seen

    @property
    def now(self) -> datetime:
        """When it was read."""
        return self.seen.now

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """The object, if it was read and is there."""
        return self.seen.by_key.get((kind, namespace, name))

    def of_kind(self, kind: str) -> Sequence[Json]:
        """All that was read of a kind, by namespace and name."""
        return self.seen.by_kind.get(kind, ())

    def owned_by(self, owner: ReadOnlyJson, kind: str) -> Sequence[Json]:
        """The objects of a kind that ``owner`` controls, by name."""
        return [o for o in self.seen.by_owner.get(uid_of(owner), ()) if o["kind"] == kind]

    def events_about(self, obj: ReadOnlyJson) -> Sequence[Json]:
        """The Events about an object, the latest first."""
        return self.seen.by_regarding.get(uid_of(obj), ())

    def could_not_read(self, kind: str) -> Unread | None:
        """Why objects of a kind may be missing here; None when all were read."""
        return next((u for u in self.seen.unread if u.kind == kind), None)


def key_of(obj: ReadOnlyJson) -> Key:
    """What tells an object from all others here; kinds are unique among those we read."""
    meta = obj["metadata"]
    return obj["kind"], meta.get("namespace", ""), meta["name"]


def condition_of(obj: ReadOnlyJson | None, type_: str) -> Json | None:
    """The condition of that type, if the object has it."""
    conditions: Iterable[Json] = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == type_), None)


def is_condition(obj: ReadOnlyJson | None, type_: str, status: str) -> bool:
    """Whether the object has the condition with that status."""
    found = condition_of(obj, type_)
    return found is not None and found["status"] == status


def since_of(condition: ReadOnlyJson | None) -> datetime | None:
    """Since when a condition is as it is."""
    return parse_time((condition or {}).get("lastTransitionTime"))


def event_time(event: ReadOnlyJson) -> datetime | None:
    """When the Event happened last."""
    series = event.get("series") or {}
    for text in (series.get("lastObservedTime"), event.get("lastTimestamp")):
        if text:
            return parse_time(text)
    return parse_time(event.get("eventTime")) or parse_time(
        event["metadata"].get("creationTimestamp")
    )


def event_count(event: ReadOnlyJson) -> int:
    """How often it happened."""
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def named(kind: str, obj: ReadOnlyJson) -> str:
    """``Kind name``."""
    return f"{kind} {obj['metadata']['name']}"


def shown(texts: Iterable[str], most: int = 3) -> str:
    """The first of several, and how many more there are."""
    listed = list(texts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def prism_objects(facts: Facts) -> Iterator[Json]:
    """The subject and the Prism objects it made."""
    yield facts.subject
    for kind in ("PrismBackend", "PrismNamespace", "PrismPattern"):
        yield from facts.owned_by(facts.subject, kind)


def told_as(facts: Facts, obj: ReadOnlyJson) -> str:
    """How a sentence about the subject speaks of one of those objects."""
    return "it" if obj is facts.subject else named(obj["kind"], obj)


def _first(pair: tuple[Key, Json]) -> Key:
    return pair[0]


def _event_order(event: ReadOnlyJson) -> tuple[str, str]:
    when = event_time(event)
    return (when.isoformat() if when else "", event["metadata"].get("name", ""))
