"""Waiting for what will be true soon, and saying what was seen when it never was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from e2e.cluster import KubectlError

T = TypeVar("T")
_PAUSE_S = 0.1


def eventually(check: Callable[[], T], *, within_s: float = 30.0) -> T:
    """Calls ``check`` until it returns without AssertionError or KubectlError; its answer.

    Raises:
        AssertionError: after ``within_s`` seconds, with what the last call said.
    """
    started_s = time.monotonic()
    while True:
        try:
            return check()
        except (AssertionError, KubectlError) as error:
            waited_s = time.monotonic() - started_s
            if waited_s > within_s:
                raise AssertionError(f"not after {waited_s:.1f} s; last seen: {error}") from error
        time.sleep(_PAUSE_S)


def throughout(check: Callable[[], None], *, for_s: float) -> None:
    """Calls ``check`` for ``for_s`` seconds; the first AssertionError ends it."""
    deadline_s = time.monotonic() + for_s
    while time.monotonic() < deadline_s:
        check()
        time.sleep(_PAUSE_S)
