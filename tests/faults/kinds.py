"""What can happen to a call, and to an event of a watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests

from prism_operator.ports import Failed, Reason, WatchEvent
from simulator.apiserver.request import Request, Response
from tests.runtime.world import Crash

SILENCE_S: Final = 20.0


@dataclass(frozen=True)
class CallFault:
    """``strike`` answers in the server's place, or raises what the client would see.

    ``after``: the call was carried out. ``hangs``: it is carried out once others took the lead.
    """

    strike: Callable[[Request], Response]
    after: bool = False
    hangs: bool = False
    needs_standby: bool = False


def _status(code: int, reason: str, message: str, retry_after_s: int | None = None) -> CallFault:
    details = {} if retry_after_s is None else {"retryAfterSeconds": retry_after_s}
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }
    return CallFault(lambda _: Response(code, status))


def _raise(error: Callable[[Request], BaseException]) -> Callable[[Request], Response]:
    def strike(request: Request) -> Response:
        raise error(request)

    return strike


def _crash(request: Request) -> Crash:
    return Crash(request.user)


def _reset(_: Request) -> requests.ConnectionError:
    return requests.ConnectionError(ConnectionResetError(104, "Connection reset by peer"))


def _timeout(_: Request) -> requests.ReadTimeout:
    return requests.ReadTimeout("no answer in time")


CALL_FAULTS: Final[dict[str, CallFault]] = {
    "crash-before": CallFault(_raise(_crash)),
    "crash-after": CallFault(_raise(_crash), after=True),
    "409": _status(409, "Conflict", "the object has been modified; please apply your changes"),
    "410": _status(410, "Expired", "too old resource version"),
    "429": _status(429, "TooManyRequests", "too many requests"),
    "429-retry-after": _status(429, "TooManyRequests", "too many requests", 7),
    "500": _status(500, "InternalError", "etcdserver: request timed out"),
    "503": _status(503, "ServiceUnavailable", "the server is currently unable to handle it"),
    "503-retry-after": _status(503, "ServiceUnavailable", "apiserver is shutting down", 3),
    "reset": CallFault(_raise(_reset)),
    "timeout": CallFault(_raise(_timeout)),
    "lost": CallFault(_raise(_timeout), after=True),
    # With a standby: the leader dies before or after the call, or the call hangs and lands late.
    "leader-dies-before": CallFault(_raise(_crash), needs_standby=True),
    "leader-dies-after": CallFault(_raise(_crash), after=True, needs_standby=True),
    "lands-late": CallFault(_raise(_timeout), hangs=True, needs_standby=True),
}

# An event fault gets the watch, the events that are to be delivered, and which of them is meant.
EventFault = Callable[[Any, list[WatchEvent], int], list[WatchEvent]]


def _ends(reason: Reason) -> EventFault:
    def fault(watch: Any, events: list[WatchEvent], position: int) -> list[WatchEvent]:
        watch.end = Failed(reason, "too old" if reason is Reason.GONE else "the watch ended")
        return events[:position]

    return fault


def _silent(watch: Any, events: list[WatchEvent], position: int) -> list[WatchEvent]:
    watch.silent_until_s = watch.clock.elapsed_s + SILENCE_S
    return events[:position]


def _twice(_: Any, events: list[WatchEvent], position: int) -> list[WatchEvent]:
    return [*events[: position + 1], events[position], *events[position + 1 :]]


EVENT_FAULTS: Final[Mapping[str, EventFault]] = {
    "watch-ends": _ends(Reason.TRANSIENT),
    "watch-gone": _ends(Reason.GONE),
    "watch-silent": _silent,
    "event-twice": _twice,
}


def applies(fault: CallFault, call: str) -> bool:
    """Whether it is a case of its own: for a read, carried out or not is the same."""
    is_read = call.startswith("GET ")
    return not (is_read and (fault.after or fault.hangs))
