"""Renders the operator's RBAC manifests from its permissions.

``python -m prism_operator.rbac --write`` brings ``config/rbac`` up to date; ``--check`` names the
files that differ, and exits 1 if there are any.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from prism_operator import generated
from prism_operator.api.meta import (
    GROUP,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Json,
)
from prism_operator.permissions import (
    GRANTS,
    WEBHOOK_CERTIFICATE_GRANTS,
    WEBHOOK_TRUST_GRANTS,
    Grant,
    election_grants,
    hash_key_grants,
)

NAMESPACE: Final = "prism-system"
ACCOUNT: Final = "prism-operator-controller-manager"
LEASE_NAME: Final = "prism-operator-leader"
HASH_KEY_NAME: Final = "prism-operator-hash-key"

_HEADER: Final = (
    "# Generated from prism_operator/permissions.py by `make manifests`: edit the table there.\n"
)
_MANAGER: Final = "prism-operator-manager-role"
_WEBHOOK: Final = "prism-operator-webhook-role"
_ELECTION: Final = "prism-operator-leader-election-role"
_HASH_KEY: Final = "prism-operator-hash-key-role"
_VIEWER: Final = "prism-operator-viewer-role"
_EDITOR: Final = "prism-operator-editor-role"
_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "update", "patch", "delete", "deletecollection"]


def render_rbac(watch_namespaces: Sequence[str] = (), shard: str = "") -> str:
    """All manifests as YAML documents; nothing but Roles when namespaces are given."""
    objects = build_rbac(watch_namespaces, shard).values()
    return "---\n".join(generated.dump_yaml(obj) for obj in objects)


def build_rbac(watch_namespaces: Sequence[str] = (), shard: str = "") -> dict[str, Json]:
    """The objects by the names of their files, without ``.yaml``.

    Who watches only some namespaces gets no ClusterRole: nodes and webhook configurations are then
    out of its reach.
    """
    suffix = f"-{shard}" if shard else ""
    election = election_grants(f"{LEASE_NAME}{suffix}", sees_others=bool(shard))
    election_role = f"{_ELECTION}{suffix}"
    objects = {
        "leader_election_role": _role(election_role, NAMESPACE, _rules(election)),
        "leader_election_role_binding": _binding(election_role, NAMESPACE),
        "hash_key_role": _role(_HASH_KEY, NAMESPACE, _rules(hash_key_grants(HASH_KEY_NAME))),
        "hash_key_role_binding": _binding(_HASH_KEY, NAMESPACE),
    }
    if not watch_namespaces:
        return {
            "role": _role(_MANAGER, "", _rules((*GRANTS, *WEBHOOK_TRUST_GRANTS))),
            "role_binding": _binding(_MANAGER, ""),
            **objects,
            "webhook_role": _role(_WEBHOOK, NAMESPACE, _rules(WEBHOOK_CERTIFICATE_GRANTS)),
            "webhook_role_binding": _binding(_WEBHOOK, NAMESPACE),
            **_roles_for_people(),
        }
    namespaced = _rules(grant for grant in GRANTS if grant.resource.namespaced)
    for namespace in watch_namespaces:
        objects[f"role_{namespace}"] = _role(_MANAGER, namespace, namespaced)
        objects[f"role_binding_{namespace}"] = _binding(_MANAGER, namespace)
    return objects


def generated_files(root: Path) -> dict[Path, str]:
    """What belongs in ``config/rbac`` below ``root``, the project's folder."""
    folder = root / "config" / "rbac"
    objects = build_rbac()
    files = {
        folder / f"{name}.yaml": _HEADER + generated.dump_yaml(obj) for name, obj in objects.items()
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(path.name for path in files),
    }
    # Without an ending, so that `kubectl apply -f config/rbac/` passes it over.
    files[folder / "Kustomization"] = _HEADER + generated.dump_yaml(kustomization)
    return files


def _roles_for_people() -> dict[str, Json]:
    """What Kubernetes' own roles view, edit and admin may do with our kinds.

    Whoever may edit runs pods in that namespace anyway, which is all that our kinds do there.
    """
    kinds = [resource.plural for resource in PRISM_RESOURCES]
    status = [f"{kind}/status" for kind in kinds]
    scale = f"{PRISM_PATTERN.plural}/scale"
    viewer = [_rule(GROUP, [*kinds, *status, scale], _READ)]
    editor = [
        _rule(GROUP, kinds, [*_READ, *_WRITE]),
        _rule(GROUP, status, _READ),
        _rule(GROUP, [scale], ["get", "update", "patch"]),
    ]
    return {
        "viewer_role": _role(_VIEWER, "", viewer, aggregate_to=["view"]),
        "editor_role": _role(_EDITOR, "", editor, aggregate_to=["edit", "admin"]),
    }


def _rules(grants: Iterable[Grant]) -> list[Json]:
    """One rule for the resources of a group that have the same verbs."""
    resources: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for grant in grants:
        name = f"{grant.resource.plural}{'/' if grant.subresource else ''}{grant.subresource}"
        key = (grant.resource.group, grant.verbs, grant.name)
        resources.setdefault(key, []).append(name)
    return [
        {**_rule(group, names, verbs), **({"resourceNames": [only]} if only else {})}
        for (group, verbs, only), names in resources.items()
    ]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Json:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _role(name: str, namespace: str, rules: list[Json], aggregate_to: Sequence[str] = ()) -> Json:
    metadata = _metadata(name, namespace)
    for role in aggregate_to:
        metadata["labels"][f"{ROLE.group}/aggregate-to-{role}"] = "true"
    return {
        "apiVersion": ROLE.api_version,
        "kind": ROLE.kind if namespace else f"Cluster{ROLE.kind}",
        "metadata": metadata,
        "rules": rules,
    }


def _binding(role: str, namespace: str) -> Json:
    scope = "" if namespace else "Cluster"
    return {
        "apiVersion": ROLE_BINDING.api_version,
        "kind": f"{scope}{ROLE_BINDING.kind}",
        "metadata": _metadata(role.replace("-role", "-rolebinding"), namespace),
        "roleRef": {"apiGroup": ROLE.group, "kind": f"{scope}{ROLE.kind}", "name": role},
        "subjects": [{"kind": SERVICE_ACCOUNT.kind, "name": ACCOUNT, "namespace": NAMESPACE}],
    }


def _metadata(name: str, namespace: str) -> Json:
    labels = {"app.kubernetes.io/name": "prism-operator"}
    return {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}


if __name__ == "__main__":
    sys.exit(generated.main("python -m prism_operator.rbac", sys.argv[1:], generated_files))
