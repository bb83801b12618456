"""What a diagnosis consists of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prism_operator.api.meta import Json
from prism_operator.diagnosis.facts import Unread


@dataclass(frozen=True, slots=True)
class Evidence:
    """One link of the chain: an object, what is to be seen there, and since when."""

    object: str
    what: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and commands that do or show it; commands may hold ``<placeholders>``."""

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    ``sentence`` completes "… is not Ready: ". ``blocks`` says whether it can be why; else it is
    something a reader should know of. ``about`` is the Deployment it is about, if it is about one.
    """

    reason: str  # a CamelCase word for programs
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    blocks: bool = True
    about: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict on one object: the cause first, then what else blocks it, then warnings."""

    kind: str
    namespace: str
    name: str
    ready: Literal["True", "False", "Unknown"]
    now: datetime
    cause: Finding | None = None
    others: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing."""
        return self.ready == "True"

    def as_json(self) -> Json:
        """The same for programs."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "ready": self.ready,
            "cause": None if self.cause is None else _finding(self.cause),
            "others": [_finding(finding) for finding in self.others],
            "warnings": [_finding(finding) for finding in self.warnings],
            "unread": [{"what": u.what, "why": u.why} for u in self.unread],
            "time": _time(self.now),
        }


def _finding(finding: Finding) -> Json:
    remedy = finding.remedy
    return {
        "reason": finding.reason,
        "message": finding.sentence,
        "evidence": [
            {"object": e.object, "what": e.what, "since": _time(e.since)} for e in finding.evidence
        ],
        "remedy": None
        if remedy is None
        else {"text": remedy.text, "commands": list(remedy.commands)},
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")
