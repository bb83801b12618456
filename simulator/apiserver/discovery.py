"""Discovery: which groups, versions and resources are served; and the health endpoints."""

from __future__ import annotations

from prism_operator.api.meta import Json
from simulator.apiserver.types import Catalog, Kind

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
VERSION: Json = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.2+prism-sim",
    "gitTreeState": "clean",
    "platform": "simulated",
}


def discover(catalog: Catalog, path: str) -> Json | str | None:
    """The answer to a GET of ``path``, or None when nothing is there."""
    path = path.rstrip("/") or "/"
    if path in _HEALTH:
        return "ok"
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = _groups(catalog)
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(name, versions) for name, versions in groups.items()],
        }
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) == 2:
        return _resources(catalog, parts[1])
    if parts[0] == "apis" and len(parts) == 2:
        versions = _groups(catalog).get(parts[1])
        if versions is None:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], versions)}
    if parts[0] == "apis" and len(parts) == 3:
        return _resources(catalog, f"{parts[1]}/{parts[2]}")
    return None


def _groups(catalog: Catalog) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for kind in catalog:
        versions = groups.setdefault(kind.resource.group, [])
        if kind.resource.group and kind.resource.version not in versions:
            versions.append(kind.resource.version)
    return {name: versions for name, versions in groups.items() if name}


def _group(name: str, versions: list[str]) -> Json:
    offered = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": offered, "preferredVersion": offered[0]}


def _resources(catalog: Catalog, group_version: str) -> Json | None:
    kinds = [kind for kind in catalog if kind.resource.api_version == group_version]
    if not kinds:
        return None
    entries = [entry for kind in kinds for entry in _entries(kind)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entries,
    }


def _entries(kind: Kind) -> list[Json]:
    resource = kind.resource
    entry: Json = {
        "name": resource.plural,
        "singularName": kind.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _VERBS,
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    entries = [entry]
    part = {
        "singularName": "",
        "namespaced": resource.namespaced,
        "verbs": ["get", "patch", "update"],
    }
    if kind.has_status:
        entries.append({"name": f"{resource.plural}/status", "kind": resource.kind, **part})
    if kind.scale is not None:
        entries.append(
            {
                "name": f"{resource.plural}/scale",
                "group": "autoscaling",
                "version": "v1",
                "kind": "Scale",
                **part,
            }
        )
    return entries
