"""The plan for a PrismNamespace: what its proxy is to be told, and what its status says of that.

Before the first call that may bring the namespace to a proxy, the finalizer and the name of that
proxy are written on the object. Only a revocation that was acknowledged, or a proxy that is gone
for good, takes them off again; so whoever is killed in between leaves all that a successor needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from prism_operator.api.meta import PRISM_STACK, Json, Ref, ref_of, uid_of
from prism_operator.api.namespace import PrismNamespace
from prism_operator.api.validation import InvalidObject
from prism_operator.planning.checks import Trouble
from prism_operator.planning.conclusion import refuse
from prism_operator.planning.conditions import (
    DEGRADED,
    EXPIRING,
    PATTERNS_RESOLVED,
    PAUSED,
    PROGRESSING,
    PROVISIONED,
    QUOTAS_ENFORCED,
    READY,
    RECONCILING,
    STALLED,
    Condition,
    Truth,
    is_true,
    time_text,
    with_times,
)
from prism_operator.planning.departure import Departure, depart
from prism_operator.planning.events import events_of
from prism_operator.planning.memo import parsed
from prism_operator.planning.names import PAUSED_ANNOTATION, is_paused
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Delete, Emit, Hold, Plan
from prism_operator.planning.provisioning import NOT_REGISTERED, Answer, Call, Provision, Usage
from prism_operator.planning.proxies import admin_of, metrics_of, proxies_of, proxy_of
from prism_operator.planning.secret_data import ObstacleError
from prism_operator.planning.settings import Settings
from prism_operator.planning.status import status_to_write
from prism_operator.planning.tenancy import EXPIRED, holder_of, place_of
from prism_operator.planning.tenant_config import Tenant, tenant_of
from prism_operator.planning.unchecked import plan_unchecked

# Told so long before the end of its life, or a tenth of it before if that is later.
WARNING_MAX: Final = timedelta(days=1)
_WARNING_SHARE: Final = 0.1
_UNPROVISIONED: Final = "this operator does not provision namespaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What is to be said of the namespace; ``truth`` is that of Ready."""

    phase: str
    truth: Truth = "False"
    reason: str
    message: str
    progressing: bool = False
    degraded: bool = False
    stalled: bool = False
    proxy_status: str = "Unknown"
    provisioned: Condition | None = None  # None: as it was
    quotas: Condition | None = None
    synced_at: datetime | None = None
    usage: Json = field(default_factory=dict)
    more: Sequence[Condition] = ()


def plan_namespace(observed: Observed, settings: Settings, now: datetime) -> Plan:
    """What to call, to write down before and after, and the status that the newest answer means."""
    obj = observed.obj
    ref, place = ref_of(obj), place_of(obj)
    is_deleted = bool(obj["metadata"].get("deletionTimestamp"))
    if is_deleted and place is None:
        return Plan(ref)
    if not settings.provision_namespaces:
        return plan_unchecked(observed, PrismNamespace, _UNPROVISIONED, now)
    if is_paused(obj):
        return _conclude(observed, _paused(obj, is_deleted), now)
    if place is not None and (unseen := _unseen(place, settings)):
        # It may well be there.
        return _conclude(observed, unseen, now)
    if is_deleted and place is not None:
        return _leave(observed, place, "Deleting", now)
    try:
        namespace = parsed(obj, PrismNamespace)
    except InvalidObject as error:
        return refuse(observed, error, now)
    if unseen := _unseen(proxy_of(obj), settings):
        return _conclude(observed, unseen, now)
    life = _Life.of(obj, namespace)
    if life.is_over(now):
        if place is not None:
            return _leave(observed, place, EXPIRED, now)
        return _end(observed, life, now)
    if place is not None and place != proxy_of(obj):
        return _leave(observed, place, "Pending", now)
    return _stay(observed, namespace, life, now)


@dataclass(frozen=True, slots=True)
class _Life:
    """From when on, and until when, the namespace is on a proxy."""

    began: datetime | None
    ttl: timedelta | None

    @classmethod
    def of(cls, obj: Json, namespace: PrismNamespace) -> _Life:
        ttl_s = namespace.spec.ttl_s
        began = _time_in(obj.get("status") or {}, "provisionedAt")
        return cls(began, None if ttl_s is None else timedelta(seconds=ttl_s))

    @property
    def end(self) -> datetime | None:
        return None if self.began is None or self.ttl is None else self.began + self.ttl

    @property
    def warning(self) -> datetime | None:
        if self.end is None or self.ttl is None:
            return None
        return self.end - min(WARNING_MAX, self.ttl * _WARNING_SHARE)

    def is_over(self, now: datetime) -> bool:
        return self.end is not None and now >= self.end

    def next_s(self, now: datetime) -> float | None:
        """Seconds until there is something to say or do about it."""
        to_come = [t for t in (self.warning, self.end) if t is not None and t > now]
        return (min(to_come) - now).total_seconds() if to_come else None

    def condition(self, now: datetime) -> list[Condition]:
        if self.warning is None or self.end is None or now < self.warning:
            return []
        message = f"its ttl ends at {time_text(self.end)}; then it leaves the proxy"
        return [Condition(EXPIRING, "True", "TtlEnds", message)]


def _stay(observed: Observed, namespace: PrismNamespace, life: _Life, now: datetime) -> Plan:
    """The namespace belongs on its proxy."""
    obj, cluster = observed.obj, observed.cluster
    holder = holder_of(obj, cluster)
    if holder is not None:
        message = (
            f"{namespace.spec.namespace_id} is taken on this proxy by {ref_of(holder)}, which is"
            " older: choose another namespaceId, or delete that one"
        )
        return _conclude(observed, _blocked("Conflict", message, stalled=True), now)
    try:
        tenant = tenant_of(obj, namespace, admin_of(obj, cluster), cluster)
    except ObstacleError as obstacle:
        is_near = obstacle.reason == "ProxyNotFound"
        standing = _blocked(obstacle.reason, obstacle.message, stalled=not is_near)
        return _conclude(observed, standing, now, life=life)
    if place_of(obj) is None:
        return _hold(observed, proxy_of(obj), None, now)
    call = Call(tenant.request, metrics_of(obj, cluster))
    answer = observed.answer
    if answer is None or answer.target != tenant.request:
        if _is_synced(obj):
            # What was said before this process began stands until the first answer.
            return Plan(ref_of(obj), call=call, requeue_after_s=life.next_s(now))
        return _conclude(observed, _under_way(obj, tenant), now, life=life, call=call)
    began = life.began or answer.at
    if answer.trouble is None:
        life = _Life(began, life.ttl)
        usage = _usage(answer.usage, proxies_of(obj, cluster))
        standing = replace(_provisioned(namespace, tenant, answer), usage=usage)
    else:
        standing = _failed(obj, tenant.request, answer.trouble)
    return _conclude(observed, standing, now, life=life, call=call)


def _provisioned(namespace: PrismNamespace, tenant: Tenant, answer: Answer) -> _Standing:
    message = "Namespace provisioned on proxy successfully"
    if tenant.withheld:
        names = ", ".join(tenant.withheld)
        message += f"; credentials of {names} were not sent: the admin has no TLS"
    quotas = Condition(QUOTAS_ENFORCED, "True", "QuotasApplied", "Resource quotas configured")
    if not any(key.startswith("quota.") for key, _ in tenant.request.metadata):
        quotas = Condition(QUOTAS_ENFORCED, "True", "NoneDeclared", "the spec declares no quotas")
    return _Standing(
        phase="Active",
        truth="True",
        reason="NamespaceCreated",
        message=message,
        proxy_status="Ready",
        provisioned=Condition(PROVISIONED, "True", "NamespaceCreated", message),
        quotas=quotas,
        synced_at=answer.at,
        more=[_patterns(namespace, tenant)],
    )


def _usage(usage: Usage | None, proxies: int | None) -> Json:
    """What the namespace uses; nothing where that is not all of it, as some proxies were not asked.

    A Service leads to any one of its pods.
    """
    if usage is None or proxies is None or usage.proxies < proxies:
        return {}
    found = {
        "currentKeys": usage.keys,
        "currentConnections": usage.connections,
        "requestRate": usage.requests_per_second,
    }
    return {key: value for key, value in found.items() if value is not None}


def _patterns(namespace: PrismNamespace, tenant: Tenant) -> Condition:
    if not namespace.spec.patterns:
        return Condition(PATTERNS_RESOLVED, "True", "NoneDeclared", "the spec names no patterns")
    if not tenant.missing:
        message = "every pattern and its backend is described to the proxy"
        return Condition(PATTERNS_RESOLVED, "True", "PatternsFound", message)
    told = f"named to the proxy without their settings: {'; '.join(tenant.missing)}"
    return Condition(PATTERNS_RESOLVED, "False", "PatternNotFound", told)


def _under_way(obj: Json, tenant: Tenant) -> _Standing:
    message = f"{tenant.request.admin.address}: the call is under way"
    return _not_synced(obj, "Provisioning", message, progressing=True)


def _failed(obj: Json, request: Provision, trouble: Trouble) -> _Standing:
    is_waiting = trouble == NOT_REGISTERED
    was_there = _began(obj) is not None
    return _not_synced(
        obj,
        trouble.reason,
        f"{request.admin.address}: {trouble.message}",
        progressing=is_waiting,
        degraded=was_there or not is_waiting,
        stalled=trouble.reason in ("Rejected", "NotImplemented"),
        proxy_status="NotRegistered" if is_waiting else "Unknown",
    )


def _not_synced(
    obj: Json,
    reason: str,
    message: str,
    *,
    progressing: bool = False,
    degraded: bool = False,
    stalled: bool = False,
    proxy_status: str = "Unknown",
) -> _Standing:
    """The proxy does not have the newest settings, as far as is known, but perhaps others."""
    was_there = _began(obj) is not None
    told = "it has earlier settings" if was_there else "it is not known to have it"
    is_same = _is_told(obj)
    unknown = Condition(QUOTAS_ENFORCED, "False", reason, message)
    return _Standing(
        phase="Degraded" if was_there and degraded else "Active" if was_there else "Pending",
        reason=reason,
        message=message,
        progressing=progressing,
        degraded=degraded,
        stalled=stalled,
        proxy_status=proxy_status,
        provisioned=is_true(PROVISIONED, was_there, reason, f"{message}; {told}"),
        quotas=None if is_same else unknown,
    )


def _blocked(reason: str, message: str, *, stalled: bool) -> _Standing:
    """Nothing can be called."""
    return _Standing(
        phase="Degraded" if stalled else "Pending",
        reason=reason,
        message=message,
        progressing=not stalled,
        degraded=stalled,
        stalled=stalled,
    )


def _unseen(proxy: Ref, settings: Settings) -> _Standing | None:
    watched = settings.watch_namespaces
    if not watched or proxy.namespace in watched:
        return None
    message = f"{proxy} is in a namespace that this operator does not watch: --watch-namespaces"
    return _blocked("ProxyNotWatched", message, stalled=True)


def _paused(obj: Json, is_deleted: bool) -> _Standing:
    held_back = "its revocation" if is_deleted else "calls to the proxy"
    message = f"annotation {PAUSED_ANNOTATION} on this object holds back {held_back}"
    stored = obj.get("status") or {}
    before = {c["type"]: c for c in stored.get("conditions") or ()}.get(READY, {})
    return _Standing(
        phase="Deleting" if is_deleted else stored.get("phase") or "Pending",
        truth=before.get("status", "False") if not is_deleted and _is_told(obj) else "False",
        reason=PAUSED,
        message=message,
        proxy_status=stored.get("proxyStatus") or "Unknown",
        more=[Condition(PAUSED, "True", PAUSED, message)],
    )


def _leave(observed: Observed, place: Ref, phase: str, now: datetime) -> Plan:
    """The namespace has to leave the proxy it is on, or may be on."""
    departure = depart(observed, place)
    if departure.told is not None:
        return _hold(observed, None, departure.told, now)
    standing = _leaving(place, phase, departure)
    return _conclude(observed, standing, now, call=departure.call)


def _leaving(place: Ref, phase: str, departure: Departure) -> _Standing:
    trouble = departure.trouble
    if trouble is None:
        message = f"{place}: its control plane is asked to revoke the namespace"
        return _Standing(phase=phase, reason="Revoking", message=message, progressing=True)
    message = f"not revoked yet, and tried again: {trouble.message}"
    return _Standing(
        phase=phase, reason=trouble.reason, message=message, degraded=True, progressing=True
    )


def _end(observed: Observed, life: _Life, now: datetime) -> Plan:
    """The life of the namespace is over, and it has left the proxy."""
    obj = observed.obj
    meta = obj["metadata"]
    message = f"its ttl ended at {time_text(life.end or now)}"
    if not _is_made_by_stack(obj):
        write = Delete(ref_of(obj), uid_of(obj), meta["resourceVersion"], message)
        told = Emit("Normal", EXPIRED, f"deleted: {message}", "Delete")
        return Plan(ref_of(obj), writes=(write,), events=(told,))
    standing = _Standing(
        phase=EXPIRED,
        reason=EXPIRED,
        message=message,
        provisioned=Condition(PROVISIONED, "False", EXPIRED, message),
        quotas=Condition(QUOTAS_ENFORCED, "False", EXPIRED, message),
    )
    return _conclude(observed, standing, now)


def _conclude(
    observed: Observed,
    standing: _Standing,
    now: datetime,
    *,
    life: _Life | None = None,
    call: Call | None = None,
) -> Plan:
    obj = observed.obj
    stored = obj.get("status") or {}
    before = stored.get("conditions") or []
    reason, message = standing.reason, standing.message
    kept = [c for c in before if c["type"] in (PROVISIONED, QUOTAS_ENFORCED, PATTERNS_RESOLVED)]
    given = [c for c in (standing.provisioned, standing.quotas, *standing.more) if c is not None]
    conditions = [
        Condition(READY, standing.truth, reason, message),
        _noted(PROGRESSING, standing.progressing, reason, message),
        _noted(DEGRADED, standing.degraded, reason, message),
        _noted(RECONCILING, standing.progressing or standing.degraded, reason, message),
        _noted(STALLED, standing.stalled, reason, message),
        *given,
        *(_as_before(c) for c in kept if c["type"] not in [g.type for g in given]),
        *(life.condition(now) if life is not None else ()),
    ]
    new: Json = {
        "observedGeneration": obj["metadata"].get("generation", 0),
        "phase": standing.phase,
        "proxyStatus": standing.proxy_status,
        **{key: stored[key] for key in ("provisionedAt", "lastSyncedAt") if key in stored},
        "conditions": with_times(conditions, before, now),
    }
    if life is not None and life.began is not None:
        new["provisionedAt"] = time_text(life.began)
    if standing.synced_at is not None:
        new["lastSyncedAt"] = time_text(standing.synced_at)
    if standing.usage:
        new["metrics"] = standing.usage
    return Plan(
        ref=ref_of(obj),
        status=status_to_write(new, stored, now)[0],
        events=events_of(before, new["conditions"], repairs=(), announce_ready=True),
        call=call,
        requeue_after_s=life.next_s(now) if life is not None else None,
    )


def _noted(kind: str, truth: bool, reason: str, message: str) -> Condition:
    return is_true(kind, truth, reason, message if truth else "")


def _as_before(condition: Json) -> Condition:
    return Condition(
        condition["type"], condition["status"], condition["reason"], condition["message"]
    )


def _hold(observed: Observed, place: Ref | None, told: Emit | None, now: datetime) -> Plan:
    """Notes that the namespace comes to the proxy at ``place``, or (None) has left one."""
    obj = observed.obj
    what = "it leaves the proxy" if place is None else f"it comes to {place}"
    where = None if place is None else f"{place.namespace}/{place.name}"
    write = Hold(ref_of(obj), obj, where, f"finalizer: {what}")
    failure = next((f for f in observed.failures if f.ref == write.ref), None)
    plan = Plan(write.ref)
    if failure is not None:
        message = f"cannot write the finalizer: {failure.message}"
        plan = _conclude(observed, _blocked(failure.reason, message, stalled=False), now)
    return replace(plan, writes=(write,), events=() if told is None else (told,))


def _is_told(obj: Json) -> bool:
    """Whether the status is about the newest generation."""
    told = (obj.get("status") or {}).get("observedGeneration")
    return bool(told == obj["metadata"].get("generation", 0))


def _is_synced(obj: Json) -> bool:
    return _is_told(obj) and bool((obj.get("status") or {}).get("lastSyncedAt"))


def _began(obj: Json) -> datetime | None:
    return _time_in(obj.get("status") or {}, "provisionedAt")


def _time_in(status: Json, key: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(status.get(key) or "")
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _is_made_by_stack(obj: Json) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(o.get("controller") and o["kind"] == PRISM_STACK.kind for o in owners)
