"""What the runtime needs from the world. ``adapters`` has it over HTTP, the simulator in memory.

Every call to the API server ends in an ``Outcome``; no port raises for what a server or a network
can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, TypeAlias

from prism_operator.api.meta import Json, Ref, Resource
from prism_operator.planning.checks import Check, Finding
from prism_operator.planning.provisioning import Answer, Call


@dataclass(frozen=True, slots=True)
class Ok:
    """The call succeeded; ``obj`` is the answer, with ``apiVersion`` and ``kind``."""

    obj: Json


class Reason(Enum):
    """Why a call did not succeed, as far as a caller would act differently."""

    ALREADY_EXISTS = "AlreadyExists"  # 409 on create
    CONFLICT = "Conflict"  # 409: resourceVersion, or an apply to an object that is absent
    UID_MISMATCH = "UidMismatch"  # 409/422: another object has that name now
    NOT_FOUND = "NotFound"  # 404 for the object
    NO_KIND = "NoKindMatch"  # 404 for the resource: its CRD is not installed
    GONE = "Gone"  # 410: the resourceVersion or the continue token is too old
    INVALID = "Invalid"  # 400, 422: trying again unchanged is useless
    FORBIDDEN = "Forbidden"  # 403
    TERMINATING = "NamespaceTerminating"  # 403: nothing new comes into a namespace that goes
    UNAUTHORIZED = "Unauthorized"  # 401 after the credential was read again
    THROTTLED = "TooManyRequests"  # 429, 503 with Retry-After
    TRANSIENT = "Transient"  # 5xx, timeout, connection refused or reset: may or may not be done


@dataclass(frozen=True, slots=True)
class Failed:
    """The call did not succeed (or, when transient, is not known to have)."""

    reason: Reason
    message: str
    retry_after_s: float | None = None


Outcome: TypeAlias = Ok | Failed


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole collection, all pages, as of ``resource_version``."""

    items: tuple[Json, ...]
    resource_version: str


class EventType(Enum):
    """What a watch says about an object. BOOKMARK carries only a resourceVersion."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch."""

    type: EventType
    obj: Json


class Watch(Protocol):
    """A running watch."""

    def poll(self) -> Sequence[WatchEvent]:
        """The events since the last poll, in order; empty when there are none. Never blocks."""

    def ended(self) -> Failed | None:
        """Why no more events will come, once all were polled; None while it runs.

        GONE means list again; TRANSIENT (also a regular end by the server) means watch again from
        the last resourceVersion.
        """

    def close(self) -> None:
        """Lets go of the connection. Idempotent."""


class Reader(Protocol):
    """Reads collections. ``namespace`` is ``""`` for all namespaces."""

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        """The whole collection, page by page."""

    def watch(self, resource: Resource, namespace: str, resource_version: str) -> Watch:
        """Starts a watch after ``resource_version``; failures to start are told by ``ended``."""

    def get(self, ref: Ref) -> Outcome:
        """One object, from the server."""


class Writer(Protocol):
    """Writes single objects. No method retries."""

    def create(self, obj: Json, field_manager: str) -> Outcome:
        """POST."""

    def apply(
        self, obj: Json, field_manager: str, *, force: bool, subresource: str = ""
    ) -> Outcome:
        """Server-side apply (``application/apply-patch+yaml``) of exactly these fields."""

    def replace(self, obj: Json, field_manager: str, *, subresource: str = "") -> Outcome:
        """PUT, guarded by the resourceVersion in ``obj``."""

    def patch_json(self, ref: Ref, operations: Sequence[Json], field_manager: str) -> Outcome:
        """RFC 6902 JSON patch; guard it with ``test`` operations."""

    def delete(self, ref: Ref, *, uid: str, resource_version: str | None = None) -> Outcome:
        """DELETE with preconditions, background propagation."""


class Clock(Protocol):
    """Time. ``now`` is for timestamps people read; intervals are measured with ``monotonic_s``."""

    def now(self) -> datetime:
        """The time of day, UTC, aware."""

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""


class Prober(Protocol):
    """Connects to backends, away from the loop. Nothing blocks."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """From now on ``notify`` is called, by any thread, when ``poll`` has something."""

    def begin(self, key: Ref, check: Check) -> None:
        """Begins a check, whose one finding comes within its timeout, whatever the server does."""

    def poll(self) -> Sequence[tuple[Ref, Finding]]:
        """The findings since the last poll."""

    def next_due_s(self) -> float | None:
        """When ``poll`` will have something, if that is known, on the monotonic clock."""


class ControlPlane(Protocol):
    """Calls the control planes of proxies, away from the loop. Nothing blocks."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``."""

    def begin(self, key: Ref, call: Call) -> None:
        """Begins a call, whose one answer comes within its timeout, whatever the server does."""

    def poll(self) -> Sequence[tuple[Ref, Answer]]:
        """The answers since the last poll."""

    def next_due_s(self) -> float | None:
        """See ``Prober``."""


class Metrics(Protocol):
    """Where the runtime tells what it did. controller-runtime's metric names stand behind it."""

    def reconciled(self, controller: str, result: str, duration_s: float) -> None:
        """One reconcile ended: ``success``, ``requeue``, ``requeue_after`` or ``error``."""

    def queue_changed(self, controller: str, depth: int) -> None:
        """The number of keys waiting in a work queue."""

    def queue_added(self, controller: str) -> None:
        """A key was added to a work queue."""

    def queue_retried(self, controller: str) -> None:
        """A key was put back after a failure."""

    def queue_waited(self, controller: str, waited_s: float) -> None:
        """How long a key stood in the queue before its reconcile began."""

    def workers_active(self, controller: str, active: int) -> None:
        """How many workers are busy."""

    def wrote(self, verb: str, resource: Resource, result: str) -> None:
        """A write ended; ``result`` is ``ok`` or the value of a ``Reason``."""

    def leading(self, name: str, is_leader: bool) -> None:
        """Whether this process holds the Lease."""

    def check_began(self, late_s: float) -> None:
        """A backend's check began so much after its time."""

    def checked(self, provider: str, result: str, latency_s: float | None) -> None:
        """A backend's check ended; ``result`` is ``Healthy`` or the reason it is not."""

    def called(self, method: str, result: str, latency_s: float | None) -> None:
        """A call of a control plane ended; ``result`` is ``ok`` or the reason it failed."""


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """How many objects there are in which state, as far as this operator looks after them."""

    stacks: Mapping[str, int]  # by phase
    patterns: Mapping[tuple[str, str], int]  # by scaler and phase
    backends: Mapping[tuple[str, str], int]  # by provider and health
    namespaces: Mapping[str, int]  # by phase
    rollouts: Mapping[str, int]  # in progress, by kind
    conditions: Mapping[tuple[str, str], int]  # true and bad, by kind and type


@dataclass(frozen=True, slots=True)
class Census:
    """The state of an operator that is looked up when somebody asks for it.

    ``objects`` is None while another process leads: it counts them.
    """

    objects: ObjectCounts | None = None
    cached: Mapping[str, int] = field(default_factory=dict)  # by kind
    watch_restarts: Mapping[tuple[str, str], int] = field(default_factory=dict)  # kind, reason
    silent_s: Mapping[str, float] = field(default_factory=dict)  # the longest, by kind


class CertificateError(ValueError):
    """A certificate that cannot be used; the message says why, and nothing of its key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate, its authority's behind it, and its private key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Life:
    """What a certificate says. ``authority`` is the PEM of whoever signed it."""

    issued: datetime
    ends: datetime
    names: tuple[str, ...]
    authority: bytes


class Certificates(Protocol):
    """Makes, reads and serves certificates."""

    def issue(self, names: Sequence[str], now: datetime, validity: timedelta) -> KeyPair:
        """A certificate for DNS names, signed by an authority that signs no other."""

    def life_of(self, pair: KeyPair) -> Life:
        """What the certificate says. Raises CertificateError for what is none, with its key."""

    def take(self, pair: KeyPair) -> None:
        """Serves it on new connections. Raises CertificateError, and goes on with the old one."""
