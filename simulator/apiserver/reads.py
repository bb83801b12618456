"""Lists and watches: which state a query means, which objects it selects, and in which pages.

Sources: ``k8s.io/apiserver/pkg/storage/cacher``, ``pkg/storage/etcd3`` and, for the options,
``k8s.io/apimachinery/pkg/apis/meta/internalversion/validation``.
"""

from __future__ import annotations

import base64
import copy
import json
from bisect import bisect_right
from collections.abc import Mapping
from random import Random
from typing import Any, Final, TypeAlias

from prism_operator.api.meta import Json
from prism_operator.ports import Clock
from simulator.apiserver.causes import FORBIDDEN, NOT_SUPPORTED, Cause
from simulator.apiserver.request import flag, int_option
from simulator.apiserver.selectors import Matcher, SelectorError, parse_fields, parse_labels
from simulator.apiserver.statuses import (
    ApiError,
    bad_request,
    expired,
    failure,
    invalid,
    too_large_resource_version,
)
from simulator.apiserver.storage import Collection, Compacted, Storage
from simulator.apiserver.types import Kind
from simulator.apiserver.watch import Event, Subscription, bookmark

Query: TypeAlias = Mapping[str, str]

# A watch that names no timeout lasts this long to twice this long (--min-request-timeout).
_MIN_WATCH_TIMEOUT_S: Final = 1800.0


class Reads:
    """Reads collections. Every refusal is an ``ApiError``."""

    def __init__(self, storage: Storage, clock: Clock, timeouts: Random) -> None:
        self.storage = storage
        self._clock = clock
        self._timeouts = timeouts

    def fork(self, storage: Storage, clock: Clock) -> Reads:
        """The same over a fork of the storage."""
        return Reads(storage, clock, copy.copy(self._timeouts))

    def list_page(self, kind: Kind, namespace: str, query: Query) -> Json:
        """One page of a collection, of the state that the query names."""
        selects = _selector(kind, query)
        _check_list_options(query)
        collection = self.storage.collection(kind.storage)
        limit, token = int_option(query, "limit"), query.get("continue", "")
        revision, after = self.storage.revision, ""
        version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        if token:
            revision, after = self._continued(token, version)
        elif version not in ("", "0"):
            wanted = _revision(version)
            if wanted > self.storage.revision:
                raise too_large_resource_version(wanted, self.storage.revision)
            # With a limit and no match, a version means exactly that one, for paging.
            if match == "Exact" or (limit and not match):
                revision = wanted
        if version == "0":
            limit = 0
        prefix = f"{namespace}/" if namespace else ""
        items: list[Json] = []
        meta: Json = {"resourceVersion": str(revision)}
        if kind.custom:
            meta["continue"] = ""
        keys, objects = self._state(collection, namespace, revision, token)
        if token:
            keys = keys[bisect_right(keys, prefix + after) :]
        for position, key in enumerate(keys):
            if limit and len(items) == limit:
                last = keys[position - 1].removeprefix(prefix)
                meta["continue"] = _continue_token(revision, last)
                if selects is None:
                    meta["remainingItemCount"] = len(keys) - limit
                break
            obj = kind.from_storage(kind.read(objects[key]))
            if selects is None or selects(obj):
                items.append(obj)
        return {
            "kind": kind.list_kind,
            "apiVersion": kind.resource.api_version,
            "metadata": meta,
            "items": items,
        }

    def watch(self, kind: Kind, namespace: str, query: Query) -> Subscription:
        """A watch from where the query says."""
        selects = _selector(kind, query)
        _check_watch_options(query)
        version = query.get("resourceVersion", "")
        wanted = _watched_revision(version)
        initial_events = query.get("sendInitialEvents")
        bookmarks = flag(query, "allowWatchBookmarks")
        timeout_s: float = int_option(query, "timeoutSeconds")
        if not timeout_s:
            timeout_s = _MIN_WATCH_TIMEOUT_S * (1 + self._timeouts.random())
        now = self.storage.revision
        initial: list[Event] = []
        if initial_events is not None:
            with_state = initial_events in ("true", "1", "t", "True")
            after = now if with_state or not wanted else wanted
        else:
            with_state, after = not wanted, wanted or now
        if with_state:
            collection = self.storage.collection(kind.storage)
            stored = (collection.objects[key] for key in collection.keys_in(namespace))
            objects = (kind.from_storage(kind.read(obj)) for obj in stored)
            initial = [Event("ADDED", o) for o in objects if selects is None or selects(o)]
            if initial_events is not None and bookmarks:
                initial.append(bookmark(kind, now, initial_events_end=True))
        try:
            self.storage.require_kept(after)
        except Compacted:
            message = f"too old resource version: {after} ({self.storage.compacted})"
            return Subscription.failed(expired(message).status, self._clock, self.storage, kind)
        return Subscription(
            self.storage,
            self.storage.collection(kind.storage),
            kind,
            self._clock,
            namespace=namespace,
            selects=selects,
            after=after,
            timeout_s=timeout_s,
            bookmarks=bookmarks,
            initial=initial,
        )

    def _state(
        self, collection: Collection, namespace: str, revision: int, token: str
    ) -> tuple[list[str], Mapping[str, Json]]:
        """The sorted keys and the objects of a namespace as of ``revision``."""
        try:
            self.storage.require_kept(revision)
        except Compacted:
            raise _too_old(token) from None
        if revision == self.storage.revision:
            return collection.keys_in(namespace), collection.objects
        objects = dict(collection.at(revision, namespace))
        return list(objects), objects

    def _continued(self, token: str, version: str) -> tuple[int, str]:
        if version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = _decoded_token(token)
        # -1 goes on at the newest state: the inconsistent continuation of an expired list.
        return (self.storage.revision if revision < 0 else revision), start.removesuffix("\0")


def _selector(kind: Kind, query: Query) -> Matcher | None:
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not labels and not fields:
        return None
    try:
        by_labels = parse_labels(labels) if labels else None
        by_fields = parse_fields(kind.resource, fields, custom=kind.custom) if fields else None
    except SelectorError as error:
        raise bad_request(str(error)) from None
    if by_labels is None or by_fields is None:
        return by_labels or by_fields
    return lambda obj: by_labels(obj) and by_fields(obj)


def _check_list_options(query: Query) -> None:
    match, causes = query.get("resourceVersionMatch", ""), []
    if match:
        version = query.get("resourceVersion", "")
        if not version:
            causes.append(_match_forbidden("is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            causes.append(_match_forbidden("is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(
                Cause(
                    NOT_SUPPORTED,
                    f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""',
                    "resourceVersionMatch",
                )
            )
        if match == "Exact" and version == "0":
            causes.append(_match_forbidden('"exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        message = "Forbidden: sendInitialEvents is forbidden for list"
        causes.append(Cause(FORBIDDEN, message, "sendInitialEvents"))
    if causes:
        raise invalid("meta.k8s.io", "ListOptions", "", causes)


def _check_watch_options(query: Query) -> None:
    match, causes = query.get("resourceVersionMatch", ""), []
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            message = (
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
            causes.append(Cause(FORBIDDEN, message, "resourceVersionMatch"))
    elif match:
        why = "is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_match_forbidden(why))
    if match and match != "NotOlderThan":
        message = f'Unsupported value: "{match}": supported values: "NotOlderThan"'
        causes.append(Cause(NOT_SUPPORTED, message, "resourceVersionMatch"))
    if causes:
        raise invalid("meta.k8s.io", "ListOptions", "", causes)


def _match_forbidden(why: str) -> Cause:
    return Cause(FORBIDDEN, f"Forbidden: resourceVersionMatch {why}", "resourceVersionMatch")


def _revision(version: str) -> int:
    if version.isdecimal():
        return int(version)
    raise bad_request(f"invalid resource version: {_unreadable(version)}")


def _watched_revision(version: str) -> int:
    """0 when the query names none."""
    if not version or version.isdecimal():
        return int(version or 0)
    raise failure(500, "", _unreadable(version))


def _unreadable(version: str) -> str:
    return (
        f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}":'
        " invalid syntax"
    )


def _continue_token(revision: int, last: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": last + "\0"}
    text = json.dumps(token, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decoded_token(token: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        decoded: Any = json.loads(text)
        revision, start = decoded["rv"], decoded["start"]
        if decoded["v"] == "meta.k8s.io/v1" and isinstance(revision, int) and revision and start:
            return revision, str(start)
    except (ValueError, KeyError, TypeError):
        pass
    raise bad_request("invalid continue token: continue key is not valid")


def _too_old(token: str) -> ApiError:
    if not token:
        return expired("The resourceVersion for the provided list is too old.")
    error = expired(
        "The provided continue parameter is too old to display a consistent list result. You can"
        " start a new list without the continue parameter, or use the continue token in this"
        " response to retrieve the remainder of the results. Continuing with the provided token"
        " results in an inconsistent list - objects that were created, modified, or deleted between"
        " the time the first chunk was returned and now may show up in the list."
    )
    _, start = _decoded_token(token)
    meta = {"continue": _continue_token(-1, start.removesuffix("\0"))}
    return ApiError({**error.status, "metadata": meta})
