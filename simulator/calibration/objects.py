"""How long pods and nodes took to start, read off what kubectl prints of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import Json
from simulator.calibration.durations import Sample
from simulator.inputs import BadInputError, load_objects

_PULLED = re.compile(r"in (\S+) \((\S+) including waiting\)")
_PRESENT = re.compile(r"already present on machine")
_KINDS = ("Event", "NodeClaim", "Pod")


def read_objects(path: Path) -> list[Json]:
    """The Pods, Events and NodeClaims of a file: YAML, or JSON, which is read much faster.

    Raises:
        BadInputError: The file cannot be read, or has none of them.
    """
    objects = load_objects(path)
    wanted = [obj for obj in objects if obj.get("kind") in _KINDS]
    if not wanted:
        got = ", ".join(sorted({str(obj.get("kind")) for obj in objects})) or "nothing"
        raise BadInputError([f"{path}: expected {' or '.join(_KINDS)} objects, got {got}"])
    return wanted


def durations(objects: Sequence[Json]) -> dict[str, list[Sample]]:
    """Samples by the path of the parameter that they tell of.

    Pods that were restarted tell nothing: their condition Ready is of a later life. What takes less
    than nothing was written by different clocks and is left out.
    """
    events = [obj for obj in objects if obj.get("kind") == "Event"]
    pods = [obj for obj in objects if obj.get("kind") == "Pod"]
    found: dict[str, list[Sample]] = {}
    waits: dict[str, float] = {}  # for images, by pod uid
    for event in _once(events):
        _pulled(event, found, waits)
    for pod in _once(pods):
        _started(pod, waits, found)
    for claim in _once(obj for obj in objects if obj.get("kind") == "NodeClaim"):
        pool = (_meta(claim).get("labels") or {}).get("karpenter.sh/nodepool")
        made, ready = _unix(_meta(claim).get("creationTimestamp")), _since(claim, "Initialized")
        if pool and made is not None and ready is not None:
            _add(found, f"cluster.pools.{pool}.boot", made, ready - made)
    return found


def _pulled(event: Json, found: dict[str, list[Sample]], waits: dict[str, float]) -> None:
    if event.get("reason") != "Pulled":
        return
    message = str(event.get("message") or event.get("note") or "")
    uid = str((event.get("involvedObject") or event.get("regarding") or {}).get("uid") or "")
    if _PRESENT.search(message):
        waits.setdefault(uid, 0.0)
        return
    times = _PULLED.search(message)
    if times is None:
        return
    try:
        alone, waited = (parse_duration_s(text) for text in times.groups())
    except ValueError:
        return
    waits[uid] = waits.get(uid, 0.0) + waited
    stamps = (event.get(k) for k in ("firstTimestamp", "eventTime", "deprecatedFirstTimestamp"))
    at = next((t for t in map(_unix, stamps) if t is not None), None)
    if at is not None:
        _add(found, "cluster.pods.pull", at, alone)


def _started(pod: Json, waits: Mapping[str, float], found: dict[str, list[Sample]]) -> None:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    if not containers or any(c.get("restartCount") for c in containers):
        return
    states = [(c.get("state") or {}).get("running") or {} for c in containers]
    times = [t for state in states if (t := _unix(state.get("startedAt"))) is not None]
    if len(times) != len(containers):
        return
    started, scheduled, ready = max(times), _since(pod, "PodScheduled"), _since(pod, "Ready")
    if ready is not None:
        _add(found, "cluster.pods.ready", started, ready - started)
    uid = str(_meta(pod).get("uid"))
    if scheduled is not None and uid in waits and not status.get("initContainerStatuses"):
        _add(found, "cluster.pods.start", scheduled, started - scheduled - waits[uid])


def _add(found: dict[str, list[Sample]], name: str, at: float, seconds: float) -> None:
    if seconds > -1:  # of whole seconds and of milliseconds, the difference is so far off
        found.setdefault(name, []).append(Sample(at, seconds))


def _once(objects: Iterable[Json]) -> list[Json]:
    """Each object once: files may overlap."""
    return list({_meta(obj).get("uid") or id(obj): obj for obj in objects}.values())


def _meta(obj: Json) -> Json:
    meta = obj.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _since(obj: Json, condition: str) -> float | None:
    for c in (obj.get("status") or {}).get("conditions") or []:
        if c.get("type") == condition and c.get("status") == "True":
            return _unix(c.get("lastTransitionTime"))
    return None


def _unix(value: object) -> float | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
