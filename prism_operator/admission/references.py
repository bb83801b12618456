"""What an object refers to: said when it is not there, never denied, as it may be applied next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prism_operator.api.meta import (
    PRISM_STACK,
    SECRET,
    SERVICE,
    Json,
    Ref,
)
from prism_operator.planning.observed import Snapshot

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
    own = obj["metadata"].get("namespace", "")
    proxy = obj["spec"]["proxyRef"]
    namespace = proxy.get("namespace") or own
    ref = Ref(SERVICE, namespace, proxy["name"])
    service = cluster.get(ref)
    if service is None:
        yield f"spec.proxyRef: {ref} does not exist (yet)"
        return
    owners = service["metadata"].get("ownerReferences") or ()
    stack = next((o for o in owners if o.get("controller") and o["kind"] == PRISM_STACK.kind), None)
    if stack is None:
        yield f"spec.proxyRef: {ref} is not a PrismStack's: name the Service <stack>-proxy"
    elif namespace != own:
        found = cluster.get(Ref(PRISM_STACK, namespace, stack["name"]))
        if found is not None and own not in (found["spec"].get("allowedNamespaces") or ()):
            yield (
                f"spec.proxyRef: PrismStack {namespace}/{stack['name']} is not for namespace {own}:"
                " list it in its spec.allowedNamespaces"
            )


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
