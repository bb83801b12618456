"""How a namespace leaves a proxy: forgetting nothing, and waiting for nothing that is no more."""

from __future__ import annotations

from dataclasses import dataclass

from prism_operator.api.meta import Json, Ref
from prism_operator.planning.checks import Trouble
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Emit
from prism_operator.planning.provisioning import NOT_IMPLEMENTED, Call, Revoke
from prism_operator.planning.proxies import admin_to_leave
from prism_operator.planning.secret_data import ObstacleError
from prism_operator.planning.tenancy import is_kept_by_another


@dataclass(frozen=True, slots=True)
class Departure:
    """``told`` says how it ended; until then ``trouble`` is what is in the way, if anything is."""

    told: Emit | None = None
    call: Call | None = None
    trouble: Trouble | None = None


def depart(observed: Observed, place: Ref) -> Departure:
    """How far it is that the namespace leaves the proxy at ``place``, and what to call for it."""
    obj, cluster = observed.obj, observed.cluster
    if _is_retained(obj):
        return _left("Retained", f"stays on {place}, as spec.deletionPolicy says")
    if is_kept_by_another(obj, place, cluster):
        return _left("LeftToAnother", f"stays on {place}: another PrismNamespace has it too")
    try:
        admin = admin_to_leave(place, cluster)
    except ObstacleError as obstacle:
        return Departure(trouble=Trouble(obstacle.reason, obstacle.message))
    if admin is None:
        return _left("ProxyGone", f"not revoked: {place} or its control plane is gone for good")
    request = Revoke(admin, place.name, obj["spec"]["namespaceId"])
    answer, call = observed.answer, Call(request)
    if answer is None or answer.target != request:
        return Departure(call=call)
    if answer.trouble is None:
        said = f"; it says: {answer.message}" if answer.message else ""
        return _left("Revoked", f"revoked by {admin.address}{said}")
    if answer.trouble == NOT_IMPLEMENTED:
        message = f"{admin.address} does not implement revocation: the namespace may still be there"
        return _left("NotRevoked", message, is_bad=True)
    why = Trouble(answer.trouble.reason, f"{admin.address}: {answer.trouble.message}")
    return Departure(call=call, trouble=why)


def _is_retained(obj: Json) -> bool:
    # A life that is over ends whatever is to happen to its traces when the object is deleted.
    is_deleted = bool(obj["metadata"].get("deletionTimestamp"))
    return is_deleted and obj["spec"].get("deletionPolicy") == "Retain"


def _left(reason: str, message: str, *, is_bad: bool = False) -> Departure:
    return Departure(told=Emit("Warning" if is_bad else "Normal", reason, message, "Revoke"))
