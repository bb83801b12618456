"""Where KEDA's triggers take their credentials from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prism_operator.api.autoscaling import Autoscaling
from prism_operator.api.meta import SECRET, TRIGGER_AUTHENTICATION, Json, Ref
from prism_operator.planning.children import own
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.resources.trigger_authentication import (
    build_trigger_authentication,
)


@dataclass(frozen=True, slots=True)
class Authentication:
    """``names`` are the TriggerAuthentications by the names the triggers use; ``made`` are ours.

    ``unresolved`` says, for people, which names stand for nothing.
    """

    names: Mapping[str, str]
    made: tuple[Json, ...] = ()
    unresolved: tuple[str, ...] = ()


def resolve_authentication(
    owner: Json, name: str, labels: Json, scaling: Autoscaling, cluster: Snapshot
) -> Authentication:
    """What the triggers' references stand for: a TriggerAuthentication, or a Secret.

    A reference with a kind is left to KEDA. A Secret gets a TriggerAuthentication of ours,
    ``<name>-trigger-auth``; further ones are numbered from 2.
    """
    namespace = owner["metadata"]["namespace"]
    names: dict[str, str] = {}
    made: list[Json] = []
    unresolved: list[str] = []
    wanted = dict.fromkeys(
        trigger.authentication_ref.name
        for trigger in scaling.triggers
        if trigger.authentication_ref is not None and trigger.authentication_ref.kind is None
    )
    for ordinal, referred in enumerate(wanted, start=1):
        found = cluster.get(Ref(TRIGGER_AUTHENTICATION, namespace, referred))
        if found is not None and own(found, owner) is None:
            names[referred] = referred
            continue
        secret = cluster.get(Ref(SECRET, namespace, referred))
        keys = [] if secret is None else sorted(secret.get("data") or {})
        if not keys:
            why = "neither a TriggerAuthentication nor a Secret that can be read"
            unresolved.append(f"{referred} is {'a Secret without keys' if secret else why}")
            continue
        made_name = f"{name}-trigger-auth" + (f"-{ordinal}" if made else "")
        names[referred] = made_name
        made.append(build_trigger_authentication(made_name, namespace, labels, referred, keys))
    return Authentication(names, tuple(made), tuple(unresolved))
