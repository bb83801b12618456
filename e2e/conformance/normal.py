"""Answers without what two servers may legitimately say differently.

| what | why | how it is compared |
|---|---|---|
| uid, names from generateName, cluster IPs, node ports | chosen at random | by first appearance |
| resourceVersion of an object | counts every write of the cluster | by first appearance |
| resourceVersion of a list or a bookmark | other writers move it on | not |
| timestamps that the server sets | time passes | that they are there |
| order of managedFields | by time, and time passes | as a set |
| order of the causes of an apply conflict | Go walks a map | as a set |
| why a watch from a forgotten version fails | from the cache or from etcd | that it does |
| Events of the server's own repair loops | they run by the clock | not |
| position and type names in a decoder's complaint | Go's, for people | not |
| a pod's token volume | the in-memory server issues no tokens | not asked |
| a Service without a name | fails in the allocator's own objects | not asked |
| a Service created through /status | has no address there, and nobody does so | not asked |
| the difference quoted when a pod's immutable fields change | Go's structs, for people | not |
| the object quoted in a complaint about a patch | Go's own formats | not |
| objects quoted in other complaints | field order of Go's structs | with sorted fields |
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from e2e.conformance.steps import NOWHERE_UID

_SERVER_TIMES: Final = frozenset({"creationTimestamp", "deletionTimestamp"})
_UID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_ADDRESS: Final = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
_GENERATED: Final = re.compile(r"\bgen-[a-z0-9]{5}\b")
_VERSION_IN_TEXT: Final = re.compile(
    r"(ResourceVersion in (?:the precondition|record) \()(\d+)(\))"
)
_TOO_OLD: Final = re.compile(
    r"too old resource version: \d+ \(\d+\)"
    r"|The resourceVersion for the provided watch is too old\."
)
_NOT_A_PATCH: Final = re.compile(
    r"^(?:error decoding patch: .*|Invalid JSON Patch|json: cannot unmarshal .*)$", re.DOTALL
)
_TOO_LARGE: Final = re.compile(r"(resource version: )\d+(, current: )\d+")
_PATCH_VALUE: Final = re.compile(
    r'Invalid value: "(?:\{.*\}|map\[.*\])": (strict decoding error: )?(.*)', re.DOTALL
)
_DECODER: Final = re.compile(
    r"((?:cannot be handled as an? \w+|unrecognized[^:]*"
    r"|convert unstructured object to [^:]*): ).*",
    re.DOTALL,
)
_CONTINUE: Final = re.compile(r"(continue key is not valid).*", re.DOTALL)
_POD_DIFFERENCE: Final = re.compile(r"(pod updates may not change fields other than).*", re.DOTALL)
_JSON: Final = json.JSONDecoder()


class Normaliser:
    """Renumbers what one server shows in one sequence, in order of appearance."""

    def __init__(self, namespace: str, fixed: frozenset[str]) -> None:
        self._namespace = namespace
        # What the requests themselves name stays as it is.
        self._fixed = fixed | {NOWHERE_UID}
        self._numbers: dict[str, dict[str, str]] = {}

    def answer(self, status: int, body: Any, warnings: str) -> Any:
        """An answer as something to compare."""
        return {"status": status, "body": self.value(body), "warnings": self._text(warnings)}

    def event(self, event: Mapping[str, Any]) -> Any:
        """A watch event as something to compare."""
        return {"type": event["type"], "object": self.value(event["object"])}

    def value(self, value: Any) -> Any:
        """Any JSON value."""
        if isinstance(value, dict):
            if "items" in value and isinstance(value.get("metadata"), dict):
                return self._list(value)
            if _is_about_patch(value):
                value = _without_object(value)
            elif value.get("reason") == "Conflict":
                value = _with_sorted_causes(value)
            return {self._key(key): self._entry(key, value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _list(self, value: dict[str, Any]) -> Any:
        meta = {key: item for key, item in value["metadata"].items() if key != "resourceVersion"}
        if "continue" in meta:
            meta["continue"] = _start_of(meta["continue"])
        rest = {key: value[key] for key in sorted(value) if key != "metadata"}
        return {**{key: self.value(item) for key, item in rest.items()}, "metadata": meta}

    def _entry(self, key: str, value: Any) -> Any:
        if key in _SERVER_TIMES and isinstance(value, str):
            return "<time>"
        if key == "resourceVersion" and isinstance(value, str):
            return self._number("version", value)
        if key == "nodePort" and isinstance(value, int):
            return self._number("port", str(value))
        if key == "managedFields" and isinstance(value, list):
            entries = [self.value({**e, "time": "<time>"}) for e in value]
            return sorted(entries, key=lambda e: json.dumps(e, sort_keys=True))
        return self.value(value)

    def _key(self, key: str) -> str:
        """A key of managedFields may name a uid."""
        return self._text(key) if key.startswith("k:") else key

    def _text(self, text: str) -> str:
        text = text.replace(self._namespace, "<namespace>")
        for what, pattern in (("uid", _UID), ("address", _ADDRESS), ("name", _GENERATED)):
            for found in dict.fromkeys(pattern.findall(text)):
                text = text.replace(found, self._number(what, found))
        text = _VERSION_IN_TEXT.sub(lambda m: m[1] + self._number("version", m[2]) + m[3], text)
        text = _TOO_OLD.sub("<too old>", text)
        text = _NOT_A_PATCH.sub("<not a patch>", text)
        text = _TOO_LARGE.sub(r"\1<number>\2<number>", text)
        text = _sorted_objects(text)
        text = _CONTINUE.sub(r"\1", text)
        text = _POD_DIFFERENCE.sub(r"\1", text)
        if "strict decoding error" not in text:
            text = _DECODER.sub(r"\1<complaint>", text)
        return text

    def _number(self, what: str, value: str) -> str:
        if value in self._fixed:
            return value
        known = self._numbers.setdefault(what, {})
        return known.setdefault(value, f"<{what} {len(known) + 1}>")


def _is_about_patch(value: dict[str, Any]) -> bool:
    if value.get("kind") != "Status":
        return False
    causes = (value.get("details") or {}).get("causes") or [{}]
    return bool(causes[0].get("field") == "patch")


def _with_sorted_causes(status: dict[str, Any]) -> dict[str, Any]:
    details = status.get("details") or {}
    if "causes" not in details:
        return status
    causes = sorted(details["causes"], key=lambda cause: sorted(cause.items()))
    return {**status, "details": {**details, "causes": causes}}


def _without_object(status: dict[str, Any]) -> dict[str, Any]:
    """A complaint about a patch without the object it made, and why a decoder refused that."""

    def cut(text: str) -> str:
        return _PATCH_VALUE.sub(
            lambda m: f"Invalid value: <object>: {m[1] + m[2] if m[1] else '<complaint>'}", text
        )

    causes = [{**cause, "message": cut(cause["message"])} for cause in status["details"]["causes"]]
    details = {**status["details"], "causes": causes}
    return {**status, "message": cut(status["message"]), "details": details}


def _sorted_objects(text: str) -> str:
    """``text`` with the fields of quoted JSON objects in order."""
    parts, position = [], 0
    while (start := text.find("{", position)) >= 0:
        parts.append(text[position:start])
        try:
            value, position = _JSON.raw_decode(text, start)
        except ValueError:
            value, position = None, start + 1
        parts.append("{" if value is None else json.dumps(value, sort_keys=True))
    return "".join(parts) + text[position:]


def _start_of(token: str) -> str:
    """Where a continue token goes on."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return f"<after {json.loads(text)['start'].lstrip('/')}>"
    except (ValueError, KeyError):
        return token
