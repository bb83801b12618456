"""Small parts for tests of the runtime: a clock, objects, and ports that do as they are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prism_operator.api.meta import CONFIG_MAP, PRISM_PATTERN, Json, Ref, Resource
from prism_operator.ports import EventType, Failed, Listed, Ok, Outcome, Reason, WatchEvent

START = datetime(2026, 3, 2, tzinfo=UTC)


class FakeClock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds


def a_key(name: str = "orders", *, resource: Resource = PRISM_PATTERN) -> Ref:
    return Ref(resource, "default", name)


def a_config_map(
    name: str = "settings",
    *,
    uid: str = "",
    version: int | str = 1,
    namespace: str = "default",
    owner: str = "",
    labels: Json | None = None,
    **more: Any,
) -> Json:
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-of-{name}",
        "resourceVersion": str(version),
    }
    if owner:
        metadata["ownerReferences"] = [
            {
                "apiVersion": PRISM_PATTERN.api_version,
                "kind": PRISM_PATTERN.kind,
                "name": owner,
                "uid": f"uid-of-{owner}",
                "controller": True,
            }
        ]
    if labels:
        metadata["labels"] = labels
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": metadata,
        **more,
    }


class ScriptedWatch:
    """A watch that tells what a test puts into ``events``, and ends when it sets ``end``."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.events: list[WatchEvent] = []
        self.end: Failed | None = None
        self.closed = False

    def poll(self) -> Sequence[WatchEvent]:
        events, self.events = self.events, []
        return events

    def ended(self) -> Failed | None:
        return self.end

    def close(self) -> None:
        self.closed = True

    def tell(self, kind: EventType, obj: Json) -> None:
        self.events.append(WatchEvent(kind, obj))


class ScriptedReader:
    """A reader that lists what a test says, and remembers its watches."""

    def __init__(self, items: Iterable[Json] = (), version: int = 10) -> None:
        self.listed: Listed | Failed = Listed(tuple(items), str(version))
        self.watches: list[ScriptedWatch] = []
        self.lists = 0

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        self.lists += 1
        return self.listed

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> ScriptedWatch:
        self.watches.append(ScriptedWatch(resource_version))
        return self.watches[-1]

    def get(self, ref: Ref) -> Outcome:
        return Failed(Reason.NOT_FOUND, str(ref))


class RecordingWriter:
    """A writer that remembers its calls and answers them as a test says, else with success."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.answers: list[Outcome] = []

    def _answer(self, verb: str, what: Any) -> Outcome:
        self.calls.append((verb, what))
        return self.answers.pop(0) if self.answers else Ok(what if isinstance(what, dict) else {})

    def create(self, obj: Json, field_manager: str) -> Outcome:
        return self._answer("create", obj)

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        return self._answer(f"apply {subresource}".strip(), obj)

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        return self._answer("replace", obj)

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        return self._answer("patch", list(operations))

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        return self._answer("delete", ref)
