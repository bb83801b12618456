"""Hashes of inputs, keyed so that they betray nothing about short or guessable ones."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any


def keyed_hash(key: bytes, value: Any) -> str:
    """32 hex digits that are equal for equal JSON values, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()[:32]
