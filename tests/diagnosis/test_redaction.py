"""What is cut from texts and objects, and what has to stay."""

from __future__ import annotations

import base64

import pytest

from prism_operator.diagnosis.redaction import WITHHELD, Redactor
from tests.diagnosis.builders import PROXY, RS, a_pod, a_prism, an_object

SECRET = "hunter22"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter22 x", "password=[withheld] x"),
        ("password: hunter22", "password: [withheld]"),
        ("DB_PASSWORD='hunter22 and more'", "DB_PASSWORD=[withheld]"),
        ('{"password":"hunter22","a":1}', '{"password":[withheld],"a":1}'),
        (r'{"m":"{\"apiKey\":\"hunter22\"}"}', r'{"m":"{\"apiKey\":[withheld]}"}'),
        ("Authorization: Bearer hunter22", "Authorization: [withheld] [withheld]"),
        ("get https://h/x?token=hunter22&a=1", "get https://h/x?token=[withheld]&a=1"),
        ("postgres://app:hunter22@db/x refused", "postgres://***@db/x refused"),
        ("nats://hunter22@n:4222", "nats://***@n:4222"),
        ("app:hunter22@tcp(db:3306)/x", "app:[withheld]@tcp(db:3306)/x"),
        ("--db-password hunter22 --v", "--db-password [withheld] --v"),
        ("x eyJhbGciOi.eyJzdWIi.c2ln y", "x [withheld] y"),
        ("-----BEGIN KEY-----\nhunter22\n-----END KEY-----", "[withheld]"),
        ("ghp_hunter22hunter22", "[withheld]"),
        ("a\x1b[2Jb\x9bc\td\n", "a[2Jbc\td\n"),
    ],
)
def test_what_looks_like_a_credential_is_cut_from_texts(text: str, expected: str) -> None:
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'secret "db" not found',
        "authenticationRef: Secret shop/db does not exist",
        "couldn't find key url in Secret default/db",
        "ghcr.io/prism/proxy:v1@sha256:0123abcd",
        "0/3 nodes are available: 3 Insufficient cpu.",
        "2026-03-02T12:00:00Z",
        "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2",
        "spec.proxy: strategy MultiZone cannot spread",
    ],
)
def test_what_explains_stays_in_texts(text: str) -> None:
    assert Redactor().text(text) == text


def test_values_of_variables_are_withheld_and_names_and_references_stay() -> None:
    env = [
        {"name": "LEVEL", "value": "info"},
        {"name": "URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
    ]
    stack = a_prism(spec={"proxy": {"env": env}})

    clean = Redactor().obj(stack)["spec"]["proxy"]["env"]

    assert clean == [{"name": "LEVEL", "value": WITHHELD}, env[1]]


def test_free_form_values_are_withheld_and_their_keys_stay() -> None:
    spec = {
        "config": {"db": {"note": SECRET, "retries": 3, "debug": True}, "topics": ["orders"]},
        "autoscaling": {"triggers": [{"type": "kafka", "metadata": {"topic": "t", "lag": "5"}}]},
    }

    clean = Redactor().obj(a_prism("PrismPattern", spec=spec))["spec"]

    assert clean["config"] == {
        "db": {"note": WITHHELD, "retries": WITHHELD, "debug": True},
        "topics": [WITHHELD],
    }
    trigger = clean["autoscaling"]["triggers"][0]
    assert trigger == {"type": "kafka", "metadata": {"topic": WITHHELD, "lag": WITHHELD}}


def test_of_annotations_only_ours_are_told_and_only_while_they_look_so() -> None:
    annotations = {
        "prism.io/paused": "true",
        "prism.io/adopt": SECRET,
        "prism.io/config-hash": "0123abcd",
        "prism.io/secret-hash": SECRET,
        "deployment.kubernetes.io/revision": "3",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }

    clean = Redactor().obj(an_object("Deployment", "x", metadata={"annotations": annotations}))

    assert clean["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "3",
        "kubectl.kubernetes.io/last-applied-configuration": WITHHELD,
        "prism.io/adopt": WITHHELD,
        "prism.io/config-hash": "0123abcd",
        "prism.io/paused": "true",
        "prism.io/secret-hash": WITHHELD,
    }


def test_arguments_are_withheld_but_for_those_the_operator_gives() -> None:
    args = ["--pattern=consumer", "--log-level=debug", f"--password={SECRET}", SECRET]
    spec = {"containers": [{"name": "c", "args": args, "command": ["sh", "-c", SECRET]}]}

    container = Redactor().obj(a_pod(RS, spec=spec))["spec"]["containers"][0]

    assert container["args"] == ["--pattern=consumer", "--log-level=debug", WITHHELD, WITHHELD]
    assert container["command"] == [WITHHELD] * 3


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats://nats:4222", "nats://nats:4222"),
        ("postgres://app:hunter22@db:5432/x?password=hunter22", "postgres://***@db:5432"),
        ("https://h/hunter22", "https://h"),
        ("host=db password=hunter22", WITHHELD),
        ("kafka://a:1,u:hunter22@b:2", WITHHELD),
        ("http://[::1", WITHHELD),
    ],
)
def test_of_urls_only_where_they_lead_is_left(url: str, expected: str) -> None:
    backend = a_prism("PrismBackend", "db", spec={"connection": {"url": url}})

    assert Redactor().obj(backend)["spec"]["connection"]["url"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "said hunter22!",
        f"said {base64.b64encode(b'hunter22').decode()}",
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        {"proxy": {"env": [{"name": "PW", "value": SECRET}]}},
        {"config": {"password": SECRET}},
        {"connection": {"url": f"redis://:{SECRET}@h"}},
        {"containers": [{"args": [f"--x={SECRET}"]}]},
        {"triggers": [{"metadata": {"account": SECRET}}]},
    ],
)
def test_withheld_secrets_are_cut_wherever_they_turn_up(
    where: dict[str, object], text: str
) -> None:
    redactor = Redactor.of([a_prism(spec=where)])

    assert WITHHELD in redactor.text(text)
    assert SECRET not in redactor.text(text)


def test_names_of_objects_and_everyday_words_are_no_secrets() -> None:
    env = [{"name": "API_KEY", "value": v} for v in ("shop-proxy", "true", "abc", "8080")]

    redactor = Redactor.of([a_prism(spec={"env": env}), PROXY])

    assert redactor.known == ()


def test_redacting_twice_changes_nothing_more() -> None:
    redactor = Redactor.of([a_prism(spec={"env": [{"name": "PASSWORD", "value": SECRET}]})])
    once = redactor.text("password=hunter22 and hunter22 at postgres://a:b@c")

    assert redactor.text(once) == once
