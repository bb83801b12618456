"""Scalars mean what they mean to kubectl; the table is what kubectl 1.37 made of them."""

from __future__ import annotations

import json

import pytest

from prism_operator.documents import location_of, read_documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("y", True), ("on", True), ("N", False), ("0777", 511), ("0o17", 15),
        ("1e3", 1000), ("1.0", 1), ("1.", 1), ("08", 8), ("018", 18), ("-0o7", -7), ("0x1F", 31),
        ("0b11", 3), ("+5", 5), ("1_000", 1000), (".5", 0.5), ("1e2.5", "1e2.5"), ("~", None),
        ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"), ('"1"', "1"), ("!!str 1", "1"),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_mean_to_kubectl(text: str, value: object) -> None:
    (document,), complaints = read_documents(f"a: {text}\n".encode(), "f")

    assert complaints == []
    assert json.dumps(document.value) == json.dumps({"a": value})


def test_keys_that_are_no_texts_become_some() -> None:
    (document,), _ = read_documents(b"{5: a, yes: b, null: c}", "f")

    assert document.value == {"5": "a", "true": "b", "null": "c"}


def test_anchors_and_merges_are_followed_and_placed_where_they_are_written() -> None:
    (document,), _ = read_documents(b"a: &a {p: 1, q: 2}\nb:\n  <<: *a\n  q: 3\n", "f")

    assert document.value["b"] == {"p": 1, "q": 3}
    assert document.position(("b", "p")) == (1, 8)
    assert document.position(("b", "q")) == (4, 3)


def test_what_a_file_does_not_have_is_placed_at_the_nearest_part_it_has() -> None:
    (document,), _ = read_documents(b"a:\n  b:\n  - c: 1\n", "f")

    assert document.position(location_of("a.b[0].d.e")) == (3, 5)
    assert document.position(location_of("z")) == (1, 1)


def test_a_number_json_does_not_have_is_refused() -> None:
    _, (complaint,) = read_documents(b"a: .inf\n", "f")

    assert str(complaint) == 'f:1:4: ".inf" is not a number that JSON has'


def test_json_may_have_tabs_and_surrogates() -> None:
    documents, complaints = read_documents(b'{\n\t"a": "\\ud83d\\ude00"\n}\n', "f")

    assert complaints == []
    assert documents[0].value == {"a": "\N{GRINNING FACE}"}
