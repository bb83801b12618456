"""Names of what is not there: what may have been meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_SHOWN_MAX = 6


def near(name: str, names: Sequence[str]) -> str:
    """``; did you mean …?``, or what there is, to be put behind a complaint."""
    begins = [known for known in names if name and (name in known)]
    like = [*begins, *(n for n in get_close_matches(name, names, _SHOWN_MAX) if n not in begins)]
    if like:
        return f"; did you mean {listed(like)}?"
    return f"; there are {listed(names)}" if names else "; there is none"


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - _SHOWN_MAX
    return ", ".join(names[:_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
