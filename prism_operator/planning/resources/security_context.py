"""Security contexts that meet the ``restricted`` pod security standard unless told otherwise."""

from __future__ import annotations

from prism_operator.api.meta import Json


def pod_security_context(given: Json | None) -> Json:
    """The pod's security context: the user's fields, and restricted ones where there are none."""
    given = given or {}
    context: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    # runAsNonRoot would keep a pod that is meant to run as root from ever starting.
    if given.get("runAsUser") != 0:
        context["runAsNonRoot"] = True
    return {**context, **given}


def container_security_context(given: Json | None) -> Json:
    """The container's security context, likewise."""
    given = given or {}
    context: Json = {"capabilities": {"drop": ["ALL"]}}
    # The API server refuses allowPrivilegeEscalation: false together with either of these.
    added = (given.get("capabilities") or {}).get("add") or ()
    if not given.get("privileged") and not {"SYS_ADMIN", "CAP_SYS_ADMIN"} & set(added):
        context["allowPrivilegeEscalation"] = False
    return {**context, **given}
