"""AdmissionReview (``admission.k8s.io/v1``): the question read, the answer written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prism_operator.api.meta import Json

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
PATH: Final = "/validate-prism-io-v1alpha1"


class ReviewError(ValueError):
    """A body that is no question; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Review:
    """A request to create or change an object; ``old`` is None for one that is new."""

    uid: str
    operation: str
    obj: Json | None = None
    old: Json | None = None
    username: str = ""
    field_manager: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to answer: denied when there is a reason to, and what to warn of either way."""

    denials: Sequence[str] = ()
    warnings: Sequence[str] = field(default=())

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return not self.denials


def read_review(body: bytes) -> Review:
    """The question in a body. Raises ReviewError for anything else."""
    try:
        review = json.loads(body)
    except ValueError as error:  # also bytes that are no UTF-8
        raise ReviewError(f"the body is no JSON: {error}") from None
    except RecursionError:
        raise ReviewError("the body is nested too deeply") from None
    if not isinstance(review, dict) or review.get("kind") != KIND:
        raise ReviewError(f"the body is no {KIND}")
    if review.get("apiVersion") != API_VERSION:
        raise ReviewError(f"expected apiVersion {API_VERSION} of {KIND}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise ReviewError(f"{KIND} has no request with a uid")
    user, options = request.get("userInfo"), request.get("options")
    return Review(
        uid=request["uid"],
        operation=str(request.get("operation", "")),
        obj=_object(request.get("object")),
        old=_object(request.get("oldObject")),
        username=_text(user, "username"),
        field_manager=_text(options, "fieldManager"),
    )


def answer(review: Review, judgement: Judgement) -> Json:
    """The answer to a question, as it is sent."""
    response: Json = {"uid": review.uid, "allowed": judgement.allowed}
    if judgement.denials:
        message = "; ".join(judgement.denials)
        response["status"] = {"code": 422, "reason": "Invalid", "message": message}
    if judgement.warnings:
        response["warnings"] = [" ".join(text.split()) for text in judgement.warnings]
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def _text(value: Any, key: str) -> str:
    return str(value.get(key, "")) if isinstance(value, dict) else ""


def _object(value: Any) -> Json | None:
    return value if isinstance(value, dict) and isinstance(value.get("metadata"), dict) else None
