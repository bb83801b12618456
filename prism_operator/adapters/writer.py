"""Writes single objects over HTTP.

Raw requests throughout: pykube's ``update`` merges lists by index and brings deleted keys back,
its ``patch`` is a merge patch, and its ``delete`` has no preconditions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from prism_operator.adapters.client import Client, path_of
from prism_operator.adapters.reader import timeout_of
from prism_operator.api.meta import SECRET, Json, Ref, Resource, ref_of
from prism_operator.ports import Failed, Outcome, Reason

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_JSON_PATCH = "application/json-patch+json"


class RateLimit:
    """A token bucket: ``burst`` calls at once, ``qps`` a second in the long run. Thread-safe."""

    def __init__(
        self,
        qps: float,
        burst: int,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / qps
        self._credit_s = (burst - 1) * self._interval_s
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_s = -float("inf")

    def wait(self) -> None:
        """Returns when the next call may be made; callers are served in order."""
        with self._lock:
            now_s = self._monotonic_s()
            slot_s = max(self._next_s, now_s - self._credit_s)
            self._next_s = slot_s + self._interval_s
        if slot_s > now_s:
            self._sleep(slot_s - now_s)


class HttpWriter:
    """Implements ``ports.Writer``."""

    def __init__(
        self,
        client: Client,
        *,
        lease_timeout_s: float,
        rate_limit: RateLimit | None = None,
        dry_run: bool = False,
    ) -> None:
        self._client = client
        self._lease_timeout_s = lease_timeout_s
        self._rate_limit = rate_limit
        self._params = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}

    def create(self, obj: Json, field_manager: str) -> Outcome:
        """See ``ports.Writer``."""
        ref = ref_of(obj)
        path = path_of(ref.resource, ref.namespace)
        return self._send("POST", ref.resource, path, obj, _JSON, fieldManager=field_manager)

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        """See ``ports.Writer``."""
        path, resource = _object_path(ref_of(obj), subresource)
        params = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return self._send("PATCH", resource, path, obj, _APPLY, **params)

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        """See ``ports.Writer``."""
        path, resource = _object_path(ref_of(obj), subresource)
        return self._send("PUT", resource, path, obj, _JSON, fieldManager=field_manager)

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        """See ``ports.Writer``. CONFLICT when a ``test`` fails or a path is not there."""
        path, resource = _object_path(ref)
        body = list(operations)
        outcome = self._send("PATCH", resource, path, body, _JSON_PATCH, fieldManager=field_manager)
        # The server tells such a patch from an invalid result only by naming no object.
        if outcome == Failed(Reason.INVALID, _PATCH_DOES_NOT_FIT):
            return Failed(Reason.CONFLICT, f"{ref} has changed: the JSON patch does not fit it")
        return outcome

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        """See ``ports.Writer``. ValueError without a uid: it would delete whatever is there."""
        if not uid:
            raise ValueError(f"{ref}: a delete needs the uid of what it is to delete")
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        path, resource = _object_path(ref)
        return self._send("DELETE", resource, path, options, _JSON)

    def _send(
        self,
        method: str,
        resource: Resource,
        path: str | Failed,
        body: Json | list[Json],
        content_type: str,
        **params: str,
    ) -> Outcome:
        if self._rate_limit is not None:
            self._rate_limit.wait()
        return self._client.send_json(
            method,
            path,
            body,
            content_type=content_type,
            params=self._params | params,
            confidential=resource == SECRET,
            timeout=timeout_of(resource, self._lease_timeout_s),
        )


_PATCH_DOES_NOT_FIT = "the server rejected our request due to an error in our request"


def _object_path(ref: Ref, subresource: str = "") -> tuple[str | Failed, Resource]:
    return path_of(ref.resource, ref.namespace, ref.name, subresource), ref.resource
