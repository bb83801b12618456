"""Reads collections over HTTP."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from prism_operator.adapters.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Client, path_of
from prism_operator.adapters.watch import SILENCE_MARGIN_S, HttpWatch
from prism_operator.api.meta import LEASE, SECRET, Json, Ref, Resource
from prism_operator.ports import Failed, Listed, Outcome, Reason

# client-go's 500 would be 20 MiB of Deployments, and several kinds are listed at a time.
PAGE_SIZE = 100
# How often a list starts over when a continue token expires, before it asks for all at once.
RESTARTS_MAX = 3
# As client-go does, watches end at different times, so that a fleet does not reconnect at once.
WATCH_TIMEOUT_S = (240, 300)


def timeout_of(resource: Resource, lease_timeout_s: float) -> tuple[float, float]:
    """The timeouts of a call in seconds: to connect, and to answer.

    Calls about a Lease must be over well before the leader has to give up, in sum.
    """
    if resource == LEASE:
        return (lease_timeout_s / 2, lease_timeout_s / 2)
    return (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)


class HttpReader:
    """Implements ``ports.Reader``."""

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        notify: Callable[[], None] | None = None,
        lease_timeout_s: float,
        trims: Mapping[Resource, Callable[[Json], Json]] | None = None,
        watch_timeout_s: tuple[int, int] = WATCH_TIMEOUT_S,
        watch_margin_s: float = SILENCE_MARGIN_S,
    ) -> None:
        self._client = client
        self._watch_timeout_s = watch_timeout_s
        self._watch_margin_s = watch_margin_s
        self._trims = trims or {}
        self._rng = rng
        self._notify = notify
        self._lease_timeout_s = lease_timeout_s

    def list(self, resource: Resource, namespace: str = "", *, labels: str = "") -> Listed | Failed:
        """See ``ports.Reader``. Items are sorted by namespace and name.

        ``labels`` is a label selector as kubectl takes it.
        """
        chosen = {"labelSelector": labels} if labels else {}
        for _ in range(RESTARTS_MAX):
            listed = self._list_pages(resource, namespace, {**chosen, "limit": str(PAGE_SIZE)})
            if not (isinstance(listed, Failed) and listed.reason == Reason.GONE):
                return listed
        return self._list_pages(resource, namespace, chosen)

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> HttpWatch:
        """See ``ports.Reader``."""
        return HttpWatch(
            self._client,
            resource,
            path_of(resource, namespace),
            resource_version,
            timeout_s=self._rng.randint(*self._watch_timeout_s),
            margin_s=self._watch_margin_s,
            notify=self._notify,
        )

    def get(self, ref: Ref) -> Outcome:
        """See ``ports.Reader``."""
        return self._client.outcome(
            "GET",
            path_of(ref.resource, ref.namespace, ref.name),
            confidential=ref.resource == SECRET,
            timeout=timeout_of(ref.resource, self._lease_timeout_s),
        )

    def _list_pages(
        self, resource: Resource, namespace: str, params: dict[str, str]
    ) -> Listed | Failed:
        items: list[Json] = []
        trim = self._trims.get(resource, _whole)
        path = path_of(resource, namespace)
        timeout = timeout_of(resource, self._lease_timeout_s)
        while True:
            page = self._client.outcome("GET", path, params=params, timeout=timeout)
            if isinstance(page, Failed):
                return page
            try:
                # A server leaves kind and version out of the items of a list of a built-in kind.
                kind = {"apiVersion": resource.api_version, "kind": resource.kind}
                # Page by page: the memory of a whole big collection would not be given back.
                items += [trim(kind | item) for item in page.obj["items"] or ()]
                meta = page.obj["metadata"]
                if not meta.get("continue"):
                    return Listed(tuple(sorted(items, key=_place)), meta["resourceVersion"])
            except (KeyError, TypeError, AttributeError):
                return Failed(Reason.TRANSIENT, f"GET {path}: the answer is no list")
            params = params | {"continue": meta["continue"]}


def _place(obj: Json) -> tuple[str, str]:
    meta = obj["metadata"]
    return (meta.get("namespace", ""), meta["name"])


def _whole(obj: Json) -> Json:
    return obj
