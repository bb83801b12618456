"""Hashes of inputs: of what an object says, and, keyed, of what its pods must be rolled for.

A keyed hash names its key, so that one by another key is known as such. What such a hash was made
from cannot be known: the pods keep it, and the Deployment notes beside it, outside of the pod
template, what it stands for by the current key. So a lost key rolls no pod, and the next change of
the input still does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from prism_operator.api.meta import Json

# Known to everybody. It is the key of objects' own hashes, which stand beside what they are made
# from, and was that of pods' until the operator had one of its own.
PUBLIC_KEY: Final = b"prism-operator"


def keyed_hash(key: bytes, value: Any) -> str:
    """32 hex digits that are equal for equal JSON values, whatever the order of their keys."""
    return hmac.digest(key, _encode(value).encode(), hashlib.sha256).hex()[:32]


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


@dataclass(frozen=True, slots=True)
class PodHashes:
    """Annotations of the pod template, and of the Deployment itself. Equal ones are identical."""

    template: tuple[tuple[str, str], ...] = ()
    deployment: tuple[tuple[str, str], ...] = ()


def pod_hashes(
    key: bytes,
    inputs: Mapping[str, Json | None],
    live: Json | None,
    *,
    since: frozenset[str] = frozenset(),
) -> PodHashes:
    """The hashes of ``inputs``, given by annotation, for the pods of the Deployment ``live``.

    An input that is None is not known right now: its pods keep the hash they have. Those in
    ``since`` came with a later version: pods without such a hash are not rolled to get one.
    """
    template: dict[str, str] = {}
    deployment: dict[str, str] = {}
    on_pods = _annotations(live["spec"]["template"]) if live is not None else {}
    on_deployment = _annotations(live) if live is not None else {}
    for name, value in inputs.items():
        before, stands_for = on_pods.get(name), on_deployment.get(name)
        if value is None:
            after = before
        elif before is None and name in since and live is not None:
            after, stands_for = _first(key, value, stands_for)
        else:
            after, stands_for = _next(key, value, before, stands_for)
        if after is not None:
            template[name] = after
        if stands_for is not None:
            deployment[name] = stands_for
    return _shared(tuple(template.items()), tuple(deployment.items()))


def _next(
    key: bytes, value: Json, before: str | None, stands_for: str | None
) -> tuple[str, str | None]:
    """The hash on the pods, and what it stands for by the current key if it is by another."""
    now = f"{_name(key)}{keyed_hash(key, value)}"
    if before is None or before == now or _name_in(before) == _name(key):
        return now, None
    if _name_in(before) == "":
        unchanged = before == keyed_hash(PUBLIC_KEY, value)
        return (before if unchanged else now), None
    if stands_for is not None and _name_in(stands_for) == _name(key) and stands_for != now:
        return now, None
    return before, now


def _first(key: bytes, value: Json, stands_for: str | None) -> tuple[str | None, str | None]:
    """As ``_next``, for pods without a hash: they get one with the first change of the input."""
    now = f"{_name(key)}{keyed_hash(key, value)}"
    changed = stands_for not in (None, now) and _name_in(stands_for or "") == _name(key)
    return (now, None) if changed else (None, now)


def _name(key: bytes) -> str:
    """What a hash begins with that ``key`` made. Tells nothing about the key."""
    return "" if key == PUBLIC_KEY else f"{keyed_hash(key, 'name')[:8]}-"


def _name_in(text: str) -> str:
    name, dash, _ = text.partition("-")
    return name + dash if dash else ""


def _annotations(obj: Json) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


# One object for equal values, since ``memo.remembered`` goes by identity.
_shared = lru_cache(maxsize=4096)(PodHashes)
