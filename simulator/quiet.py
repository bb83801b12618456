"""Runs without the operator's own log: the event log says what it did."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def silence() -> None:
    """From here on in this process the operator logs nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@contextmanager
def silenced() -> Iterator[None]:
    """The same for a while, in a process whose logging is somebody else's."""
    before = structlog.get_config() if structlog.is_configured() else None
    silence()
    try:
        yield
    finally:
        if before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**before)
