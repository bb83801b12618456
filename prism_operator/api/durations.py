"""Durations as Kubernetes reads them: Go's ``time.ParseDuration`` (``15s``, ``1h30m``)."""

from __future__ import annotations

import re

# What a CRD can check of a duration; the rest (overflow) is left to ``parse_duration_s``.
DURATION_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h))+$"

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5 micro sign
    "μs": 1_000,  # U+03BC Greek mu: Go accepts both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MAX_NS = 2**63 - 1


def parse_duration_s(text: str) -> float:
    """The length of a Go duration in seconds.

    Raises ValueError, saying what is wrong, for anything Go would not accept, including more than
    about 292 years.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0.0
    total_ns, position = 0, 0
    while position < len(unsigned):
        term = _TERM.match(unsigned, position)
        if term is None or not (term[1] or term[2]):
            break
        unit_ns = _UNIT_NS[term[3]]
        fraction = term[2] or ""
        total_ns += int(term[1] or 0) * unit_ns
        total_ns += int(fraction or 0) * unit_ns // 10 ** len(fraction)
        position = term.end()
    if not unsigned or position < len(unsigned):
        raise ValueError(f'"{text}" is not a duration such as 15s, 1h30m or 720h')
    if total_ns > _MAX_NS:
        raise ValueError(f'"{text}" is longer than the 292 years a duration can say')
    return -total_ns / 1e9 if text.startswith("-") else total_ns / 1e9
