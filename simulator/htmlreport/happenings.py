"""What happened in a run and why: faults, what the scenario did, and what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prism_operator.api.meta import FIELD_MANAGER, Json
from simulator.apiserver.events import new_event
from simulator.kernel import SECOND_US, Us
from simulator.scenario import Scenario
from simulator.scenario.timeline import Event
from simulator.spelling import spelled

# Marks of one kind that are nearer than this share of the run are drawn as one.
NEAR = 1 / 240
TEXTS_SHOWN = 6


class Lane(StrEnum):
    """Marks stand in lanes above the timelines, in this order."""

    FAULTS = "faults"
    SCENARIO = "scenario"
    SCALING = "scaling"
    NODES = "nodes"
    PODS = "pods"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at a point in time or for a while."""

    lane: Lane
    at_us: Us
    title: str
    texts: tuple[str, ...] = ()
    until_us: Us | None = None
    count: int = 1


_FAULTS: Final = (
    "node_loss",
    "spot_interruption",
    "drought",
    "operator_crash",
    "operator_restart",
    "api_server",
    "backend",
    "control_plane",
)
_SWITCHES: Final = ("keda", "metrics_server", "prometheus")  # down until they are up again
_TOLD: Final = {
    "spot shock": Lane.FAULTS,
    "interrupted": Lane.FAULTS,
    "interrupted unseen": Lane.FAULTS,
    "no capacity": Lane.NODES,
    "launched": Lane.NODES,
    "terminated": Lane.NODES,
    "lost": Lane.NODES,
    "back": Lane.NODES,
    "drained": Lane.NODES,
    "drain timed out": Lane.NODES,
    "evicted": Lane.PODS,
    "eviction refused": Lane.PODS,
    "started": Lane.OPERATOR,
    "stopped": Lane.OPERATOR,
    "killed": Lane.OPERATOR,
    "scaled by policy": Lane.SCALING,
}
_REASONS: Final = {
    "SuccessfulRescale": (Lane.SCALING, "HPA scales"),
    "KEDAScaleTargetActivated": (Lane.SCALING, "KEDA scales from zero"),
    "KEDAScaleTargetDeactivated": (Lane.SCALING, "KEDA scales to zero"),
    "TriggeredScaleUp": (Lane.NODES, "cluster autoscaler adds nodes"),
    "NodeNotReady": (Lane.NODES, "node not ready"),
    "Preempted": (Lane.PODS, "preempted"),
}


class Happenings:
    """Collects marks of one run: those of its scenario, and what is told while it runs."""

    def __init__(self, scenario: Scenario) -> None:
        self._duration_us = scenario.duration
        self._marks = list(_of_timeline(scenario))
        self._sizes: dict[str, str] = {}

    def told(self, at_us: Us, what: str, about: str) -> None:
        """A line of the event log that is no write to the API server."""
        lane = _TOLD.get(what)
        if lane is not None:
            self._marks.append(Mark(lane, at_us, what, (about,)))

    def announced(self, at_us: Us, event: Json) -> None:
        """An Event, in the sense of Kubernetes, as it is stored."""
        event = new_event(event)
        reason, note = event.get("reason", ""), str(event.get("note") or "")
        about = event.get("regarding") or {}
        if event.get("reportingController") == FIELD_MANAGER:
            lane, title = Lane.OPERATOR, f"{about.get('kind', '')} {reason}"
        elif reason in _REASONS:
            lane, title = _REASONS[reason]
        else:
            return
        name = str(about.get("name", ""))
        if reason == "SuccessfulRescale":
            size = note.partition("New size: ")[2].partition(";")[0]
            before, self._sizes[name] = self._sizes.get(name, "?"), size
            note = f"{before} → {size}"
        self._marks.append(Mark(lane, at_us, title, (f"{name}: {note}",)))

    def marks(self) -> list[Mark]:
        """All of them by lane and time, near ones of a kind as one."""
        joined: dict[tuple[Lane, str, int], Mark] = {}
        spans: list[Mark] = []
        near_us = max(1, int(self._duration_us * NEAR))
        for mark in sorted(self._marks, key=lambda m: (m.at_us, m.lane, m.title, m.texts)):
            if mark.until_us is not None:
                spans.append(mark)
                continue
            key = (mark.lane, mark.title, mark.at_us // near_us)
            before = joined.get(key)
            joined[key] = mark if before is None else _joined(before, mark)
        order = list(Lane)
        return sorted([*spans, *joined.values()], key=lambda m: (order.index(m.lane), m.at_us))


def _joined(one: Mark, other: Mark) -> Mark:
    new = [text for text in other.texts if text not in one.texts]
    texts = (*one.texts, *new)[:TEXTS_SHOWN]
    return Mark(one.lane, one.at_us, one.title, texts, count=one.count + other.count)


def _of_timeline(scenario: Scenario) -> Iterator[Mark]:
    events = scenario.timeline
    for event in events:
        actions = event.model_fields_set - {"at", "name"}
        action = event.action if actions else ""
        said = getattr(event, action) if action else None
        words = action.replace("_", " ")
        ends = action in _SWITCHES and said == "up"
        is_fault = action in _FAULTS or (action in _SWITCHES and not ends)
        title = event.name or words
        told = spelled(said)
        texts = (f"{words}: {told}" if event.name else told,) if action else ()
        lane = Lane.FAULTS if is_fault else Lane.SCENARIO
        yield Mark(lane, event.at, title, texts, _until(event, action, events, scenario.duration))


def _until(event: Event, action: str, events: Sequence[Event], end_us: Us) -> Us | None:
    """When it is over, if it lasts; at the end of the run at the latest."""
    said = getattr(event, action) if action else None
    if action in _SWITCHES:
        later = (e.at for e in events if e.at >= event.at and getattr(e, action) == "up")
        return None if said == "up" else min(later, default=end_us)
    for name in ("for_", "notice", "restart_after", "after"):
        lasts_us = getattr(said, name, None)
        if isinstance(lasts_us, int) and lasts_us >= SECOND_US:
            return min(event.at + lasts_us, end_us)
    if action == "node_loss":
        return end_us  # for good
    return None
