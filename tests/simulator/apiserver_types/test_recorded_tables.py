"""The kinds answer every recorded case as the real API server did.

The table is made by ``python -m e2e.record_tables`` and checked against a real server by
``e2e/test_recorded_tables.py``.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml

from prism_operator.api.meta import Json
from simulator.apiserver import managedfields
from simulator.apiserver.causes import Cause, DecodeError, TypedError, invalid_message
from simulator.apiserver.managedfields import Conflicts
from simulator.apiserver.types import Catalog, Kind

TIME = "2026-01-01T00:00:00Z"
SCHEMAS = files("simulator.apiserver") / "schemas"
CASES: list[Json] = json.loads((SCHEMAS / "recorded.json").read_text())
CATALOG = Catalog.builtin()
CATALOG.add_crd(yaml.safe_load((SCHEMAS / "widgets.yaml").read_text()))
NAMESPACE = "recorded-tables"


class RefusedError(Exception):
    def __init__(self, code: int, message: str, causes: Any = None) -> None:
        super().__init__(message)
        self.answer: Json = {"code": code, "message": message}
        if causes:
            self.answer["causes"] = causes


class OneObject:
    """Just enough of a server to hold the object of a case."""

    def __init__(self) -> None:
        self.kind: Kind | None = None
        self.live: Json | None = None

    def step(self, step: Json) -> Json:
        verb = next(v for v in ("create", "merge", "apply") if v in step)
        manager, subresource = step.get("manager", "recorder"), step.get("subresource", "")
        body = step[verb]
        if "kind" in body:
            self.kind = CATALOG.of(body)
        assert self.kind is not None
        try:
            if verb == "create":
                obj, code = self._create(body, manager), 201
            elif verb == "apply":
                obj, code = self._apply(body, manager, subresource, step.get("force", False))
            else:
                obj, code = self._merge(body, manager, subresource), 200
        except RefusedError as refused:
            return refused.answer
        except DecodeError as error:
            return {"code": 400, "message": str(error)}
        except TypedError as error:
            return {"code": 500, "message": str(error)}
        self.live = obj
        return {"code": code, "object": comparable(obj)}

    def _decoded(self, body: Json) -> Json:
        assert self.kind is not None
        decoded = self.kind.decode(body)
        if decoded.unknown:
            kind, version = self.kind.resource.kind, self.kind.resource.version
            raise RefusedError(
                400,
                f'{kind} in version "{version}" cannot be handled as a {kind}: '
                f"strict decoding error: {', '.join(decoded.unknown)}",
            )
        return decoded.obj

    def _create(self, body: Json, manager: str) -> Json:
        assert self.kind is not None
        obj = in_namespace(self._decoded(body))
        return self._created(managedfields.update(self.kind, None, obj, manager, TIME))

    def _created(self, obj: Json) -> Json:
        assert self.kind is not None
        obj = self.kind.prepare_create(self.kind.admit(obj))
        self._refuse(obj, self.kind.validate(obj))
        if obj.get("spec") and "clusterIP" in obj["spec"]:
            obj["spec"]["clusterIPs"] = [obj["spec"]["clusterIP"]]  # as the allocator does
        return {**obj, "metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "1"}}

    def _updated(self, obj: Json, subresource: str) -> Json:
        assert self.kind is not None
        assert self.live is not None
        obj = self.kind.prepare_update(obj, self.live, subresource)
        self._refuse(obj, self.kind.validate(obj, self.live, subresource))
        return managedfields.keep_timestamps(self.live, obj)

    def _merge(self, patch: Json, manager: str, subresource: str) -> Json:
        assert self.kind is not None
        assert self.live is not None
        obj = self._decoded(merged(self.live, patch))
        owned = managedfields.update(self.kind, self.live, obj, manager, TIME, subresource)
        return self._updated(owned, subresource)

    def _apply(self, body: Json, manager: str, subresource: str, force: bool) -> tuple[Json, int]:
        assert self.kind is not None
        result = managedfields.apply(
            self.kind,
            self.live,
            body,
            manager,
            force=force,
            time=TIME,
            subresource=subresource,
        )
        if isinstance(result, Conflicts):
            causes = sorted(result.causes, key=lambda c: (c["message"], c["field"]))
            raise RefusedError(409, result.message, causes)
        if self.live is None:
            return self._created(in_namespace(result)), 201
        return self._updated(result, subresource), 200

    def _refuse(self, obj: Json, causes: list[Cause]) -> None:
        assert self.kind is not None
        if causes:
            group, kind = self.kind.storage.group, self.kind.resource.kind
            shown = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
            raise RefusedError(
                422, invalid_message(group, kind, obj["metadata"].get("name", ""), causes), shown
            )


def in_namespace(obj: Json) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}}


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def comparable(obj: Json) -> Json:
    out: Json = json.loads(json.dumps(obj))
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        out["metadata"].pop(name, None)
    if out["kind"] == "Service":
        out["spec"].pop("clusterIPs", None)
    entries = out["metadata"].get("managedFields", [])
    for entry in entries:
        if "time" in entry:
            entry["time"] = "<time>"
    entries = sorted(entries, key=lambda e: json.dumps(e, sort_keys=True))
    out["metadata"]["managedFields"] = entries
    return out


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_are_those_of_the_real_server(case: Json) -> None:
    server = OneObject()

    for number, step in enumerate(case["steps"], 1):
        if "create" in step:
            server = OneObject()
        request = {key: value for key, value in step.items() if key != "answer"}

        assert server.step(request) == step["answer"], f"step {number}: {json.dumps(request)}"
