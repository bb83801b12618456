"""A plan: what should be written, in order, each step with its reason. Nothing here acts.

The runtime's applier (``prism_operator.runtime.applier``) carries a plan out from first to last.
"Nothing to do" is a plan without writes; "refused because" is a condition in its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from prism_operator.api.meta import Json, Ref
from prism_operator.planning.checks import Check
from prism_operator.planning.provisioning import Call


@dataclass(frozen=True, slots=True)
class Create:
    """POST ``obj``. An object that exists by then answers 409 and stays as it is.

    It waits for a pass that has written ``needs``, if the same plan writes that.
    """

    ref: Ref
    obj: Json
    reason: str
    needs: Ref | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply exactly the fields of ``obj`` to the object with ``uid``.

    ``live`` is the object as it was observed: the applier turns our ``Update`` entry in its
    managedFields into an ``Apply`` entry before the first apply, so that fields that leave ``obj``
    leave the cluster. ``needs`` as in ``Create``.
    """

    ref: Ref
    uid: str
    obj: Json
    live: Json
    reason: str
    needs: Ref | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE with uid and resourceVersion as preconditions, in background propagation."""

    ref: Ref
    uid: str
    resource_version: str
    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Server-side apply ``replicas`` to the Deployment under a manager of its own, and no more.

    Our other manager can then let go of the field without it falling to its default, 1
    (https://github.com/kubernetes/kubernetes/issues/94585). ``resource_version`` is a precondition,
    so that a number somebody set meanwhile is not taken back.
    """

    ref: Ref
    uid: str
    resource_version: str
    replicas: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Put our finalizer on the object as ``live`` says it is, and note ``place`` beside it.

    None takes both off again. One JSON patch, so that there is never one without the other.
    """

    ref: Ref
    live: Json
    place: str | None
    reason: str


Write: TypeAlias = Create | Apply | HandOver | Delete | Hold


@dataclass(frozen=True, slots=True)
class Emit:
    """One Event about the planned object. Repeats are folded into a series by the recorder."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = "Reconcile"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one object.

    ``status`` is the whole status to hold, or None when the observed one already says it, so a
    pass over a converged object writes nothing. ``requeue_after_s`` asks for another look without
    any change, ``check`` for the object to be checked from now on, ``call`` for its proxy's control
    plane to be called, until a plan has another or none.
    """

    ref: Ref
    writes: tuple[Write, ...] = ()
    status: Json | None = None
    events: tuple[Emit, ...] = ()
    requeue_after_s: float | None = None
    check: Check | None = None
    call: Call | None = None

    @property
    def is_empty(self) -> bool:
        """Whether carrying this out changes nothing in the cluster."""
        return not self.writes and self.status is None
