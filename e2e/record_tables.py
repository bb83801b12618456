"""Records what a real API server answers to the cases of the fake one.

``python -m e2e.record_tables KUBECONFIG`` sends ``simulator/apiserver/schemas/cases.yaml`` to a
cluster whose controllers are off and rewrites ``recorded.json`` beside it: defaults, immutable
fields, refusals and ownership, exactly as the server has them. ``test_recorded_tables`` checks that
the file is still true; the fake server's own tests replay it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pykube
import yaml
from requests import Response, Session

from prism_operator.api.meta import Json, Resource
from simulator.apiserver.types import Catalog

SCHEMAS = Path(__file__).resolve().parent.parent / "simulator" / "apiserver" / "schemas"
NAMESPACE = "recorded-tables"
_CONTENT_TYPES = {
    "create": "application/json",
    "put": "application/json",
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_METHODS = {"create": "POST", "put": "PUT", "merge": "PATCH", "apply": "PATCH"}
_ESTABLISHED_TIMEOUT_S = 20.0
_SERVER_SET = ("uid", "resourceVersion", "creationTimestamp")
_ALLOCATED = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
# What follows is a difference between Go structs.
_POD_UPDATE = "if it was previously negative)"


def cases() -> list[Json]:
    """The cases, as they stand in the file."""
    return list(yaml.safe_load((SCHEMAS / "cases.yaml").read_text()))


def recorded() -> list[Json]:
    """The cases with their answers, as they stand in the file."""
    return list(json.loads((SCHEMAS / "recorded.json").read_text()))


def comparable(obj: Json) -> Json:
    """An object without what two servers may choose differently."""
    out: Json = json.loads(json.dumps(obj))
    meta = out["metadata"]
    for name in _SERVER_SET:
        meta.pop(name, None)
    for entry in meta.get("managedFields", ()):
        if "time" in entry:
            entry["time"] = "<time>"
    meta["managedFields"] = sorted(
        meta.get("managedFields", ()), key=lambda e: json.dumps(e, sort_keys=True)
    )
    if out["kind"] == "Service":
        if out["spec"].get("clusterIP") != "None":
            out["spec"].pop("clusterIP", None)
        for name in _ALLOCATED:
            out["spec"].pop(name, None)
        for port in out["spec"].get("ports", ()):
            port.pop("nodePort", None)
    return out


def answer(status: int, body: Json) -> Json:
    """What is kept of an answer."""
    if status < 300:
        return {"code": status, "object": comparable(body)}
    kept: Json = {"code": status, "message": _told(body["message"])}
    causes = (body.get("details") or {}).get("causes")
    told = [{**cause, "message": _told(cause["message"])} for cause in causes or ()]
    if status == 409:
        # The server names the managers of a conflict in no particular order.
        told.sort(key=lambda cause: (cause["message"], cause["field"]))
    return {**kept, "causes": told} if told else kept


def _told(message: str) -> str:
    before, mark, _ = message.partition(_POD_UPDATE)
    return before + mark


def record(session: Session, url: str) -> list[Json]:
    """Sends every case and returns them with the answers."""
    core = f"{url}/api/v1/namespaces"
    session.post(core, json=_named("v1", "Namespace", NAMESPACE))
    session.post(
        f"{core}/{NAMESPACE}/serviceaccounts", json=_named("v1", "ServiceAccount", "default")
    )
    catalog = Catalog.builtin()
    _serve(session, url, catalog)
    out = []
    for case in cases():
        paths: dict[str, None] = {}
        path = ""
        steps = []
        for step in case["steps"]:
            verb = next(v for v in _METHODS if v in step)
            body = step[verb]
            if "kind" in body:
                resource = _resource(catalog, body)
                path = resource.path(NAMESPACE, body["metadata"]["name"])
                paths[path] = None
            steps.append({**step, "answer": _send(session, url, path, verb, step)})
        for used in paths:
            session.delete(url + used)
        out.append({"name": case["name"], "steps": steps})
    return out


def _serve(session: Session, url: str, catalog: Catalog) -> None:
    """Installs the CRD of the cases, and waits until its objects can be written."""
    crd = yaml.safe_load((SCHEMAS / "widgets.yaml").read_text())
    (kind,) = catalog.add_crd(crd)
    made = session.post(f"{url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=crd)
    if made.status_code not in (201, 409):
        sys.exit(made.json()["message"])
    deadline = time.monotonic() + _ESTABLISHED_TIMEOUT_S
    while session.get(url + kind.resource.path(NAMESPACE)).status_code != 200:
        if time.monotonic() > deadline:
            sys.exit(f"{crd['metadata']['name']} is not served after {_ESTABLISHED_TIMEOUT_S} s")
        time.sleep(0.1)


def _named(api_version: str, kind: str, name: str) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


def _resource(catalog: Catalog, body: Json) -> Resource:
    kind = catalog.of(body)
    if kind is None:
        sys.exit(f"cases.yaml: {body['apiVersion']} {body['kind']} is not a built-in kind")
    return kind.resource


def _send(session: Session, url: str, path: str, verb: str, step: Json) -> Json:
    target = path.rsplit("/", 1)[0] if verb == "create" else path
    if "subresource" in step:
        target += f"/{step['subresource']}"
    query: dict[str, Any] = {"fieldManager": step.get("manager", "recorder")}
    if verb == "apply":
        query["force"] = str(step.get("force", False)).lower()
    else:
        query["fieldValidation"] = "Strict"
    response: Response = session.request(
        _METHODS[verb],
        url + target,
        params=query,
        data=json.dumps(step[verb]),
        headers={"Content-Type": _CONTENT_TYPES[verb]},
    )
    return answer(response.status_code, response.json())


def main(kubeconfig: str) -> None:
    """Rewrites recorded.json, a case a line."""
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(kubeconfig))
    lines = (json.dumps(case, sort_keys=True) for case in record(api.session, api.url))
    (SCHEMAS / "recorded.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m e2e.record_tables KUBECONFIG")
    main(sys.argv[1])
