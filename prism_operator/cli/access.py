"""What the operator needs from a cluster, looked at before it starts."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from prism_operator.adapters.connection import Connection, Missing, Permission
from prism_operator.api.meta import PRISM_RESOURCES
from prism_operator.cli.errors import UsageError
from prism_operator.permissions import (
    GRANTS,
    WEBHOOK_CERTIFICATE_GRANTS,
    WEBHOOK_TRUST_GRANTS,
    Grant,
    election_grants,
)
from prism_operator.runtime.operator import Options

_MISSING_SHOWN_MAX = 5

_log = structlog.get_logger("prism_operator")


def check_cluster(connection: Connection, options: Options, *, webhook: bool = False) -> str:
    """The server's version. Raises when no operator could work there.

    ``webhook`` asks also for what it takes to keep the webhook's certificate.
    """
    version = connection.check_server()
    capabilities = connection.capabilities(PRISM_RESOURCES)
    absent = [r.plural for r in PRISM_RESOURCES if capabilities.serves(r) is False]
    if absent:
        raise UsageError(
            f"CRDs are not installed: run make install "
            f"(server {connection.server} does not serve {', '.join(absent)})"
        )
    wanted = _permissions(GRANTS)
    missing: list[Missing] = []
    for namespace in options.watch_namespaces or ("",):
        lacking = connection.check_access(namespace, wanted)
        if namespace and len(lacking) == len(wanted):
            # As when the namespace, or its Role, is yet to come: watched as soon as it is there.
            _log.warning(
                "No permissions in a namespace to watch: it does not exist yet, or has no Role; "
                "see prism-operator rbac --watch-namespaces",
                namespace=namespace,
            )
        else:
            missing += lacking
    if options.leader_elect:
        election = _permissions(
            election_grants(options.lease_name, sees_others=bool(options.shard))
        )
        missing += connection.check_access(options.lease_namespace, election)
    if webhook:
        missing += connection.check_access("", _permissions(WEBHOOK_TRUST_GRANTS))
        missing += connection.check_access(
            options.lease_namespace, _permissions(WEBHOOK_CERTIFICATE_GRANTS)
        )
    if missing:
        shown = "; ".join(str(m) for m in missing[:_MISSING_SHOWN_MAX])
        more = len(missing) - _MISSING_SHOWN_MAX
        raise UsageError(
            f"no permission: {shown}{f'; and {more} more' if more > 0 else ''} "
            f"(server {connection.server})"
        )
    return version


def _permissions(grants: Iterable[Grant]) -> list[Permission]:
    return [
        Permission(verb, grant.resource, grant.subresource, grant.name)
        for grant in grants
        for verb in grant.verbs
        if not grant.optional
    ]
