"""The event log: one JSON line for everything that happened, the same bytes for the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Protocol

from prism_operator.api.meta import Json
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Us


class Sink(Protocol):
    """Where the log goes: a file, or who looks at it line by line."""

    def write(self, line: str, /) -> object:
        """Takes one line."""


Listener = Callable[[Us, str, str], object]  # when, what happened, to what


class Trace:
    """Writes the log if asked to, and its hash always."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sink, self._hash = sink, hashlib.sha256()
        self._listeners: list[Listener] = []
        self.lines = 0

    def on_told(self, listener: Listener) -> None:
        """Tells a listener of everything that is no write to the API server."""
        self._listeners.append(listener)

    def record(self, at_us: Us, what: str, about: str, **more: object) -> None:
        """One line: when (seconds), what happened, to what."""
        self._write(at_us, what, about, **more)
        for listener in self._listeners:
            listener(at_us, what, about)

    def _write(self, at_us: Us, what: str, about: str, **more: object) -> None:
        at = f"{at_us // SECOND_US}.{at_us % SECOND_US:06d}"
        line = json.dumps({"at": at, "what": what, "object": about, **more}) + "\n"
        self._hash.update(line.encode())
        self.lines += 1
        if self._sink is not None:
            self._sink.write(line)

    def record_change(self, at_us: Us, change: Change) -> None:
        """A write to the API server; ``digest`` stands for the whole object."""
        what = "created" if change.old is None else "deleted" if change.new is None else "changed"
        obj = change.latest
        self._write(
            at_us,
            what,
            str(change.ref),
            resourceVersion=obj["metadata"].get("resourceVersion", ""),
            digest=digest(obj),
            **_headline(change),
        )

    @property
    def hash(self) -> str:
        """Of the whole log so far: equal for equal runs."""
        return self._hash.hexdigest()[:12]


def digest(obj: Json) -> str:
    """A short hash of an object's content."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _headline(change: Change) -> dict[str, str]:
    """What a reader of the log wants to see of an object without looking it up."""
    obj = change.latest
    match change.ref.resource.kind:
        case "Event":
            note = obj.get("note") or obj.get("message") or ""
            return {"note": f"{obj.get('reason', '')}: {note}"}
        case "Pod":
            status = obj.get("status") or {}
            ready = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get("Ready")
            return {
                "node": obj["spec"].get("nodeName", ""),
                "phase": status.get("phase", ""),
                "ready": ready or "",
            }
        case _:
            return {}
