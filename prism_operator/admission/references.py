"""What an object refers to: said when it is not there, never denied, as it may be applied next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prism_operator.api.meta import (
    SECRET,
    Json,
    Ref,
)
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.proxies import stack_of
from prism_operator.planning.secret_data import ObstacleError

SECRETS_MAX: Final = 8


def secret_refs(obj: Json) -> dict[Ref, str]:
    """The Secrets that an object names, at most a few, with the paths of their fields."""
    found = {ref: path for path, ref in _secrets(obj)}
    return dict(list(found.items())[:SECRETS_MAX])


def warnings_of_references(
    obj: Json, cluster: Snapshot, secrets: Mapping[Ref, Json | None]
) -> list[str]:
    """A warning for each reference that leads nowhere, or where it may not lead.

    ``secrets`` are those that were looked for; what a stack's backends name, they say themselves.
    """
    found = list(_proxy_problems(obj, cluster)) if obj["kind"] == "PrismNamespace" else []
    for ref, path in secret_refs(obj).items():
        if secrets.get(ref, obj) is None and not path.startswith("spec.backends["):
            found.append(f"{path}: {ref} does not exist (yet)")
    return found


def _proxy_problems(obj: Json, cluster: Snapshot) -> Iterator[str]:
    try:
        stack_of(obj, cluster)
    except ObstacleError as obstacle:
        is_absent = obstacle.reason == "ProxyNotFound"
        yield f"{obstacle.message} (yet)" if is_absent else obstacle.message


def _secrets(obj: Json) -> Iterator[tuple[str, Ref]]:
    namespace, spec = obj["metadata"].get("namespace", ""), obj["spec"]

    def named(path: str, reference: Json | None) -> Iterator[tuple[str, Ref]]:
        if reference is not None:
            where = reference.get("namespace") or namespace
            yield f"{path}.secretRef", Ref(SECRET, where, reference["name"])

    match obj["kind"]:
        case "PrismBackend":
            yield from named("spec.connection", (spec.get("connection") or {}).get("secretRef"))
            yield from named("spec.tls", (spec.get("tls") or {}).get("secretRef"))
        case "PrismStack":
            tls = (spec.get("admin") or {}).get("tls") or {}
            yield from named("spec.admin.tls", tls.get("secretRef"))
            for index, backend in enumerate(spec.get("backends") or ()):
                path = f"spec.backends[{index}]"
                yield from named(path, backend.get("secretRef"))
                yield from named(f"{path}.tls", (backend.get("tls") or {}).get("secretRef"))
