from __future__ import annotations

import pytest

from prism_operator.planning.secrecy import (
    has_user_information,
    paths_with_user_information,
    redacted,
)

SECRETS = {
    "postgres://me:pw@host:5432/db": "postgres://***@host:5432/db",
    "redis://:pw@host": "redis://***@host",
    "amqp://user@host": "amqp://***@host",
    "nats://a:p@ss@host and nats://b:c@other": "nats://***@host and nats://***@other",
}
HARMLESS = [
    "nats://nats.prism-system.svc:4222",
    "someone@example.com",
    "https://host/path?to=me@example.com",
    "https://host/@user",
    "",
]


@pytest.mark.parametrize("text", SECRETS)
def test_user_information_in_a_url_is_found_and_cut(text: str) -> None:
    assert has_user_information(text)
    assert redacted(text) == SECRETS[text]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_left_alone(text: str) -> None:
    assert not has_user_information(text)
    assert redacted(text) == text


def test_secrets_inside_json_are_found_by_path() -> None:
    content = {"a": [{"url": "nats://u:p@h"}, 1], "b": "nats://h", "c": None}

    assert list(paths_with_user_information(content, "spec.config")) == ["spec.config.a[0].url"]
