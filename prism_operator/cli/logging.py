"""Logs on standard error: one JSON object a line, or columns for a person at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

# The memo's --zap-log-level knows zap's names (and numbers: verbosity) as well.
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
FORMATS = ("json", "console")


def parse_level(text: str) -> int:
    """The level of a name like ``debug``, or of zap's verbosity; ValueError for any other."""
    name = text.strip().lower()
    if name.isdecimal():
        return logging.DEBUG if int(name) else logging.INFO
    if name not in LEVELS:
        raise ValueError(f'log level "{text}": expected one of {", ".join(LEVELS)}')
    return LEVELS[name]


def configure_logs(level: int, log_format: str) -> None:
    """Sets the level and the format (``json`` or ``console``) of everything logged from here on."""
    renderers: list[Any]
    if log_format == "json":
        renderers = [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            structlog.processors.JSONRenderer(),
        ]
    else:
        renderers = [structlog.dev.ConsoleRenderer(timestamp_key="ts", colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
