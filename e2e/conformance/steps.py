"""A request as data, with places for what only the answering server knows.

A body or query may hold ``{"$live": "plural/name", "$merge": {…}, "$else": {…}}`` (the object as
it was last seen, changed); of ``plural/name`` its ``$rv:``, ``$oldrv:``, ``$since:``, ``$uid:``; of
``plural`` its ``$listrv:`` and ``$continue:``. Each server's ``Memory`` fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.apiserver.patches import merge_patch

NOWHERE_UID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Step:
    """One request. ``intent`` says what it tries, for reports."""

    method: str
    path: str
    plural: str
    intent: str
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    body: Any = None

    def __str__(self) -> str:
        query = "&".join(f"{k}={v}" for k, v in self.query.items())
        return f"{self.method} {self.path}{'?' if query else ''}{query} ({self.intent})"


class Memory:
    """What one server showed so far in a sequence."""

    def __init__(self) -> None:
        self._seen: dict[str, list[Any]] = {}
        self._lists: dict[str, Any] = {}

    def learn(self, plural: str, body: Any) -> None:
        """Remembers an object or a list from an answer."""
        if not isinstance(body, dict) or body.get("kind") in ("Status", "Scale"):
            return
        if "items" in body:
            self._lists[plural] = body["metadata"]
        elif "metadata" in body:
            name = body["metadata"].get("name", "")
            self._seen.setdefault(f"{plural}/{name}", []).append(body)

    def fill(self, value: Any) -> Any:
        """``value`` with every place filled in."""
        if isinstance(value, str) and value.startswith("$"):
            return self._known(value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$live" in value:
            seen = self._seen.get(value["$live"])
            base = seen[-1] if seen else self.fill(value["$else"])
            return merge_patch(base, self.fill(value.get("$merge") or {}))
        return {key: self.fill(item) for key, item in value.items()}

    def _known(self, place: str) -> str:
        what, _, key = place[1:].partition(":")
        if what in ("listrv", "continue"):
            meta = self._lists.get(key, {})
            return str(meta.get("resourceVersion" if what == "listrv" else "continue", ""))
        seen = self._seen.get(key)
        if what == "uid":
            return str(seen[-1]["metadata"]["uid"]) if seen else NOWHERE_UID
        if what == "since":
            # The oldest version still told of; without one a watch begins with what is there.
            return str(seen[0]["metadata"].get("resourceVersion", "")) if seen else ""
        if what in ("rv", "oldrv"):
            obj = seen[0 if what == "oldrv" else -1] if seen else {"metadata": {}}
            return str(obj["metadata"].get("resourceVersion", "1"))
        return place
