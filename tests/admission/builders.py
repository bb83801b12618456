"""Requests as the API server asks about them; a test says only what matters to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prism_operator.admission.judge import World, judge
from prism_operator.admission.review import Judgement, Review, read_review
from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.planning.observed import FrozenSnapshot
from tests.planning.builders import NOW, SETTINGS


def a_review(obj: Json | None, old: Json | None = None, **request: Any) -> Json:
    """An AdmissionReview: of a creation, or with ``old`` of a change."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "request-1",
            "operation": "CREATE" if old is None else "UPDATE",
            "object": obj,
            "oldObject": old,
            "userInfo": {"username": "alice"},
            **request,
        },
    }


def a_request(obj: Json | None, old: Json | None = None, **request: Any) -> Review:
    return read_review(json.dumps(a_review(obj, old, **request)).encode())


def judged(
    obj: Json,
    *others: Json,
    old: Json | None = None,
    secrets: Mapping[Ref, Json | None] | None = None,
    served: frozenset[Resource] = frozenset(),
    **request: Any,
) -> Judgement:
    """What is answered in a cluster of ``others``, and ``old`` if there is one."""
    existing = [*others, *([old] if old is not None else [])]
    world = World(FrozenSnapshot(existing, served=served), SETTINGS, NOW, secrets or {})
    return judge(a_request(obj, old, **request), world)
