from __future__ import annotations

import pytest

from prism_operator.api.meta import CONFIG_MAP, EVENT, POD
from simulator.apiserver.selectors import SelectorError, parse_fields, parse_labels

from .builders import an_object

LABELS = {"app": "prism", "tier": "2", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("app=prism", True),
        ("app==prism", True),
        ("app=other", False),
        ("app!=other", True),
        ("absent!=anything", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! app", False),
        ("app in (prism, other)", True),
        ("app in (other)", False),
        ("absent in (a)", False),
        ("app notin (other)", True),
        ("absent notin (a)", True),
        ("empty=", True),
        ("empty in ()", True),
        ("tier>1", True),
        ("tier<2", False),
        ("app>1", False),
        ("app=prism,tier=2", True),
        ("app=prism,tier=3", False),
        ("app in (prism,x),!absent", True),
    ],
)
def test_label_selectors_select(selector: str, selected: bool) -> None:
    matcher = parse_labels(selector)

    assert matcher is not None
    assert matcher(an_object(POD, "a", metadata={"labels": LABELS})) is selected


def test_an_empty_selector_selects_everything() -> None:
    assert parse_labels(" ") is None
    assert parse_fields(POD, "") is None


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("app in prism", "unable to parse requirement: found 'prism' expected: '('"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
    ],
)
def test_a_bad_label_selector_says_what_was_expected(selector: str, message: str) -> None:
    with pytest.raises(SelectorError) as error:
        parse_labels(selector)

    assert str(error.value) == message


def test_field_selectors_select_by_name_namespace_and_the_fields_of_the_kind() -> None:
    pod = an_object(POD, "a", spec={"nodeName": "n1"}, status={"phase": "Running"})

    for selector, selected in (
        ("metadata.name=a", True),
        ("metadata.name!=a", False),
        ("metadata.namespace=default,spec.nodeName=n1", True),
        ("status.phase=Pending", False),
    ):
        matcher = parse_fields(POD, selector)
        assert matcher is not None
        assert matcher(pod) is selected


def test_events_are_selected_by_what_they_regard() -> None:
    event = an_object(EVENT, "a", regarding={"kind": "Pod", "name": "x"})
    matcher = parse_fields(EVENT, "regarding.kind=Pod,regarding.name=x")

    assert matcher is not None
    assert matcher(event)
    with pytest.raises(SelectorError, match=r"field label not supported: involvedObject\.name"):
        parse_fields(EVENT, "involvedObject.name=x")


def test_other_fields_are_refused() -> None:
    with pytest.raises(SelectorError, match=r'"data\.key" is not a known field selector'):
        parse_fields(CONFIG_MAP, "data.key=x")
