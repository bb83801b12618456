"""What a person did that cannot work."""

from __future__ import annotations


class UsageError(Exception):
    """Bad input. The message says what is wrong and what to do; it ends the program with 2."""
