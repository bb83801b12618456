"""What the operator needs from a cluster, looked at before it starts."""

from __future__ import annotations

from prism_operator.adapters.connection import Connection, Permission
from prism_operator.api.meta import (
    EVENT,
    LEASE,
    NODE,
    PRISM_RESOURCES,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
)
from prism_operator.cli.errors import UsageError
from prism_operator.runtime.operator import WATCHED, Options

_MISSING_SHOWN_MAX = 5
# What it goes on without, saying so in conditions.
_OPTIONAL = (NODE, SCALED_OBJECT, TRIGGER_AUTHENTICATION)


def check_cluster(connection: Connection, options: Options) -> str:
    """The server's version. Raises when no operator could work there."""
    version = connection.check_server()
    capabilities = connection.capabilities(PRISM_RESOURCES)
    absent = [r.plural for r in PRISM_RESOURCES if capabilities.serves(r) is False]
    if absent:
        raise UsageError(
            f"CRDs are not installed: run make install "
            f"(server {connection.server} does not serve {', '.join(absent)})"
        )
    missing = [
        missing
        for namespace in options.watch_namespaces or ("",)
        for missing in connection.check_access(namespace, _permissions())
    ]
    if options.leader_elect:
        verbs = [Permission(verb, LEASE) for verb in ("get", "create", "update")]
        missing += connection.check_access(options.lease_namespace, verbs)
    if missing:
        shown = "; ".join(str(m) for m in missing[:_MISSING_SHOWN_MAX])
        more = len(missing) - _MISSING_SHOWN_MAX
        raise UsageError(
            f"no permission: {shown}{f'; and {more} more' if more > 0 else ''} "
            f"(server {connection.server})"
        )
    return version


def _permissions() -> list[Permission]:
    verbs = ("get", "list", "watch", "create", "patch", "delete")
    needed = [
        Permission(verb, resource)
        for resource in WATCHED
        for verb in verbs
        if resource not in _OPTIONAL
    ]
    needed += [Permission("patch", resource, "status") for resource in PRISM_RESOURCES]
    return [*needed, Permission("create", EVENT), Permission("patch", EVENT)]
