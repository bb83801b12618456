"""The question is read or refused with what was expected; the answer says all it has to."""

from __future__ import annotations

import json

import pytest

from prism_operator.admission.review import Judgement, ReviewError, answer, read_review
from tests.planning.builders import a_stack

from .builders import a_request, a_review


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is no JSON"),
        (b"\xff\xfe", "the body is no JSON"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (b"[]", "the body is no AdmissionReview"),
        (b'{"kind": "Pod"}', "the body is no AdmissionReview"),
        (
            json.dumps({**a_review(a_stack()), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
            "expected apiVersion admission.k8s.io/v1 of AdmissionReview",
        ),
        (
            json.dumps({**a_review(a_stack()), "request": None}).encode(),
            "AdmissionReview has no request with a uid",
        ),
    ],
)
def test_what_is_no_question_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(ReviewError, match=told):
        read_review(body)


@pytest.mark.parametrize("obj", [None, "text", [], {"metadata": None}, {}])
def test_a_request_without_an_object_has_none(obj: object) -> None:
    body = json.dumps(a_review(None, object=obj)).encode()

    assert read_review(body).obj is None


def test_an_answer_repeats_the_uid_and_says_why() -> None:
    review = a_request(a_stack())

    denied = answer(review, Judgement(["no", "never"], ["two\nlines"]))["response"]

    assert denied == {
        "uid": "request-1",
        "allowed": False,
        "status": {"code": 422, "reason": "Invalid", "message": "no; never"},
        "warnings": ["two lines"],
    }
    assert answer(review, Judgement())["response"] == {"uid": "request-1", "allowed": True}
