"""URLs with user information are secrets: found before they are shown, and cut from messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from prism_operator.api.urls import has_user_information

# RFC 3986: userinfo stands between "//" and "@" and holds no "/", "?" or "#".
_USER_INFORMATION = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")


def redacted(text: str) -> str:
    """The text with the user information of every URL in it replaced by ``***``."""
    return _USER_INFORMATION.sub("***@", text) if "@" in text else text


def without_user_information(text: str) -> str:
    """The text with the user information of every URL in it left out."""
    return _USER_INFORMATION.sub("", text) if "@" in text else text


def paths_with_user_information(value: Any, path: str) -> Iterator[str]:
    """The paths of all strings inside a JSON value that hold a URL with user information."""
    match value:
        case str():
            if has_user_information(value):
                yield path
        case dict():
            for key, inner in value.items():
                yield from paths_with_user_information(inner, f"{path}.{key}")
        case list():
            for index, inner in enumerate(value):
                yield from paths_with_user_information(inner, f"{path}[{index}]")
