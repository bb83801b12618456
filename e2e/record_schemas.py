"""Records what the fake API server knows about built-in kinds from a real one and its Go types.

``python -m e2e.record_schemas KUBECONFIG`` rewrites ``simulator/apiserver/schemas/openapi.json``
(what the server publishes, trimmed to the kinds we serve) and ``gotypes.json`` (what Go's encoding
does with each field). Needs Go, for the second.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pykube
from requests import Session

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "simulator" / "apiserver" / "schemas"
GROUP_VERSIONS = (
    "api/v1",
    "apis/apps/v1",
    "apis/autoscaling/v1",
    "apis/autoscaling/v2",
    "apis/policy/v1",
    "apis/coordination.k8s.io/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/events.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
)
KEPT = (
    "type",
    "format",
    "default",
    "required",
    "enum",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
)


def trim(schema: dict[str, Any]) -> dict[str, Any]:
    """The parts of a schema that decide behaviour; references as the bare name."""
    out: dict[str, Any] = {k: schema[k] for k in KEPT if k in schema}
    for branch in (schema, *schema.get("allOf", ())):
        if "$ref" in branch:
            out["ref"] = branch["$ref"].rsplit("/", 1)[1]
    if "properties" in schema:
        out["properties"] = {k: trim(v) for k, v in sorted(schema["properties"].items())}
    if "items" in schema:
        out["items"] = trim(schema["items"])
    if "additionalProperties" in schema:
        out["additional"] = trim(schema["additionalProperties"])
    return out


def published(session: Session, url: str) -> dict[str, Any]:
    """Every schema the server publishes for the groups we serve, trimmed."""
    found: dict[str, Any] = {}
    for group_version in GROUP_VERSIONS:
        answer = session.get(f"{url}/openapi/v3/{group_version}")
        answer.raise_for_status()
        found |= answer.json()["components"]["schemas"]
    return {name: trim(schema) for name, schema in found.items()}


def dump(path: Path, content: dict[str, Any]) -> None:
    """One line for each type, so that a diff between two Kubernetes versions can be read."""
    lines = (
        f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in sorted(content.items())
    )
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(kubeconfig: str) -> None:
    """Rewrites both files."""
    go = subprocess.run(
        ["go", "run", "-trimpath", "./gotypes"],
        cwd=ROOT / "e2e" / "controlplane",
        check=True,
        capture_output=True,
        text=True,
    )
    types = json.loads(go.stdout)
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(kubeconfig))
    schemas = published(api.session, api.url)
    opaque = {n for n in schemas if n.endswith(OPAQUE)}
    SCHEMAS.mkdir(exist_ok=True)
    dump(SCHEMAS / "openapi.json", {n: schemas[n] for n in {*types, *opaque}})
    dump(SCHEMAS / "gotypes.json", types)


# Types with an encoding of their own, which gotypes does not look into.
OPAQUE = (
    ".Quantity",
    ".IntOrString",
    ".meta.v1.Time",
    ".MicroTime",
    ".FieldsV1",
    ".v1.JSON",
    ".JSONSchemaPropsOrArray",
    ".JSONSchemaPropsOrBool",
    ".JSONSchemaPropsOrStringArray",
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m e2e.record_schemas KUBECONFIG")
    main(sys.argv[1])
