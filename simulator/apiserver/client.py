"""The runtime's ports over direct calls to the in-memory server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prism_operator.api.meta import Json, Ref, Resource, ref_of, resource_of
from prism_operator.ports import (
    EventType,
    Failed,
    Listed,
    Ok,
    Outcome,
    Reason,
    Watch,
    WatchEvent,
)
from simulator.apiserver.patches import APPLY_PATCH, JSON_PATCH
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.watch import Subscription

PAGE_SIZE = 500
_JSON: Mapping[str, str] = {"Content-Type": JSON_PATCH}
_APPLY: Mapping[str, str] = {"Content-Type": APPLY_PATCH}
_REASONS = {
    "AlreadyExists": Reason.ALREADY_EXISTS,
    "Conflict": Reason.CONFLICT,
    "NotFound": Reason.NOT_FOUND,
    "Expired": Reason.GONE,
    "Gone": Reason.GONE,
    "Invalid": Reason.INVALID,
    "BadRequest": Reason.INVALID,
    "UnsupportedMediaType": Reason.INVALID,
    "MethodNotAllowed": Reason.INVALID,
    "Forbidden": Reason.FORBIDDEN,
    "Unauthorized": Reason.UNAUTHORIZED,
    "TooManyRequests": Reason.THROTTLED,
}
_EVENT_TYPES = {t.value: t for t in EventType}
_ENDED = Failed(Reason.TRANSIENT, "the watch ended")


class InProcessReader:
    """The ``Reader`` port of an ``ApiServer``. What it returns must not be changed."""

    def __init__(self, server: ApiServer, user: str = "system:admin") -> None:
        self._server = server
        self._user = user

    def get(self, ref: Ref) -> Outcome:
        """One object."""
        path = ref.resource.path(ref.namespace, ref.name)
        return _outcome(self._server.handle(Request("GET", path, user=self._user)))

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        """The whole collection, page by page."""
        query = {"limit": str(PAGE_SIZE)}
        items: list[Json] = []
        while True:
            path = resource.path(namespace)
            outcome = _outcome(self._server.handle(Request("GET", path, query, user=self._user)))
            if isinstance(outcome, Failed):
                return outcome
            page = outcome.obj
            named = {"apiVersion": resource.api_version, "kind": resource.kind}
            items.extend({**named, **item} for item in page["items"])
            token = page["metadata"].get("continue")
            if not token:
                return Listed(tuple(items), page["metadata"]["resourceVersion"])
            query = {"limit": str(PAGE_SIZE), "continue": token}

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
        """A watch with bookmarks."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
        }
        path = resource.path(namespace)
        response = self._server.handle(Request("GET", path, query, user=self._user))
        if isinstance(response.body, Subscription):
            return InProcessWatch(response.body)
        outcome = _outcome(response)
        return InProcessWatch(None, outcome if isinstance(outcome, Failed) else _ENDED)


class InProcessWatch:
    """The ``Watch`` port of a ``Subscription``; without one, a watch that could not start."""

    def __init__(self, subscription: Subscription | None, failed: Failed | None = None) -> None:
        self._subscription = subscription
        self._failed = failed

    def poll(self) -> Sequence[WatchEvent]:
        """The events since the last poll."""
        if self._subscription is None or self._failed is not None:
            return ()
        events = []
        for event in self._subscription.poll():
            if event.type == "ERROR":
                self._failed = _failed(int(event.object["code"]), event.object)
            else:
                events.append(WatchEvent(_EVENT_TYPES[event.type], event.object))
        if self._subscription.ended and self._failed is None:
            self._failed = _ENDED
        return events

    def ended(self) -> Failed | None:
        """Why no more events will come, once all were polled."""
        return self._failed

    def close(self) -> None:
        """Stops the watch."""
        if self._subscription is not None:
            self._subscription.stop()


class InProcessWriter:
    """The ``Writer`` port of an ``ApiServer``."""

    def __init__(self, server: ApiServer, user: str = "system:admin") -> None:
        self._server = server
        self._user = user

    def create(self, obj: Json, field_manager: str) -> Outcome:
        """POST."""
        path = resource_of(obj).path(obj["metadata"].get("namespace", ""))
        return self._send("POST", path, obj, field_manager)

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        """Server-side apply."""
        query = {"force": "true"} if force else {}
        return self._send("PATCH", _path(obj, subresource), obj, field_manager, _APPLY, query)

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        """PUT."""
        return self._send("PUT", _path(obj, subresource), obj, field_manager)

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        """RFC 6902 JSON patch."""
        path = ref.resource.path(ref.namespace, ref.name)
        return self._send("PATCH", path, list(operations), field_manager, _JSON)

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        """DELETE with preconditions, background propagation."""
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        body = {"preconditions": preconditions, "propagationPolicy": "Background"}
        path = ref.resource.path(ref.namespace, ref.name)
        outcome = _outcome(self._server.handle(Request("DELETE", path, body=body, user=self._user)))
        # Which precondition failed only the message tells.
        if isinstance(outcome, Failed) and "the UID in the precondition" in outcome.message:
            return Failed(Reason.UID_MISMATCH, outcome.message)
        return outcome

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        field_manager: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Outcome:
        query = {"fieldManager": field_manager, **(query or {})}
        request = Request(method, path, query, headers or {}, body, self._user)
        return _outcome(self._server.handle(request))


def _path(obj: Json, subresource: str) -> str:
    ref = ref_of(obj)
    return ref.resource.path(ref.namespace, ref.name, subresource)


def _outcome(response: Response) -> Outcome:
    body = response.body
    if response.status < 400 and isinstance(body, dict):
        return Ok(body)
    if isinstance(body, dict):
        return _failed(response.status, body)
    if response.status == 404:
        return Failed(Reason.NO_KIND, str(body).strip())
    return Failed(Reason.TRANSIENT, str(body).strip())


def _failed(code: int, status: Json) -> Failed:
    retry_after_s = (status.get("details") or {}).get("retryAfterSeconds")
    reason = _REASONS.get(status.get("reason", ""))
    if reason is None:
        reason = Reason.THROTTLED if code == 503 and retry_after_s else Reason.TRANSIENT
        if 400 <= code < 500:
            reason = Reason.INVALID
    causes = (status.get("details") or {}).get("causes") or ()
    if any(cause.get("reason") == Reason.TERMINATING.value for cause in causes):
        reason = Reason.TERMINATING
    return Failed(
        reason,
        status.get("message", ""),
        None if retry_after_s is None else float(retry_after_s),
    )
