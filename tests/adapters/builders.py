"""Objects and helpers that show only what matters to a test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from prism_operator.api.meta import Json
from prism_operator.ports import Failed, Watch, WatchEvent


def a_config_map(name: str = "a", **metadata: Any) -> Json:
    """A ConfigMap in ``default``."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", **metadata},
    }


def an_event(kind: str, name: str = "a") -> Json:
    """A line of a watch."""
    return {"type": kind, "object": a_config_map(name)}


def a_status(code: int, reason: str, message: str = "", **details: Any) -> Json:
    """A Kubernetes Status."""
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


def an_exec_user(version: str, *, script: str = "", **status: Any) -> Json:
    """A kubeconfig user whose exec plugin prints this status (after running a shell script)."""
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return {
        "exec": {
            "apiVersion": version,
            "command": "sh",
            "args": ["-c", f'{script or ":"}; printf "%s" "$0"', json.dumps(credential)],
            "interactiveMode": "Never",
        }
    }


class ManualClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 2, tzinfo=UTC)
        self._monotonic_s = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds


def eventually(condition: Callable[[], Any], within_s: float = 5.0) -> Any:
    """The condition's first true value; AssertionError when there is none in time."""
    deadline_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.002)
    return value


def collect(watch: Watch, count: int) -> list[WatchEvent]:
    """The next ``count`` events of a watch."""
    events: list[WatchEvent] = []

    def enough() -> bool:
        events.extend(watch.poll())
        return len(events) >= count

    eventually(enough)
    return events


def end_of(watch: Watch) -> Failed:
    """Why a watch ended, with its remaining events dropped."""

    def ended() -> Failed | None:
        watch.poll()
        return watch.ended()

    failed = eventually(ended)
    assert isinstance(failed, Failed)
    return failed
