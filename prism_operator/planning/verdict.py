"""What is to be said of one part of a stack or pattern."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """From best to worst: the worst part decides about the whole."""

    READY = 0
    PROGRESSING = 1
    WAITING = 2  # held back on purpose, until somebody lets go
    UNAVAILABLE = 3  # was complete, and lost something that should come back
    FAILED = 4  # does not come right by itself


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of ``subject``, with a reason for machines and a message for people."""

    subject: str
    state: State
    reason: str
    message: str

    @property
    def text(self) -> str:
        """Subject and message in one."""
        return f"{self.subject}: {self.message}" if self.subject else self.message


def ready(subject: str, message: str) -> Verdict:
    """All as it should be."""
    return Verdict(subject, State.READY, "Ready", message)


def progressing(subject: str, reason: str, message: str) -> Verdict:
    """On its way; nobody has to do anything."""
    return Verdict(subject, State.PROGRESSING, reason, message)


def waiting(subject: str, reason: str, message: str) -> Verdict:
    """Held back by somebody who knows why."""
    return Verdict(subject, State.WAITING, reason, message)


def unavailable(subject: str, reason: str, message: str) -> Verdict:
    """Less than it was and should be."""
    return Verdict(subject, State.UNAVAILABLE, reason, message)


def failed(subject: str, reason: str, message: str) -> Verdict:
    """Stuck until somebody does something."""
    return Verdict(subject, State.FAILED, reason, message)
