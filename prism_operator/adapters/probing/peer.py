"""What a probe is given, and what it raises."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Protocol

from prism_operator.adapters.probing.loop import GuardedLoop
from prism_operator.planning.checks import Target, Trouble


class ProbeError(Exception):
    """A probe found out what is wrong."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Peer:
    """One host of a target. ``tls`` is None for plain text."""

    loop: GuardedLoop
    target: Target
    host: str
    port: int
    timeout_s: float
    tls: ssl.SSLContext | None
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def path(self) -> str:
        """The database, virtual host or queue."""
        return self.target.endpoint.path


class Probe(Protocol):
    """Asks a peer by its protocol; returns when it answered as a healthy one does."""

    async def __call__(self, peer: Peer) -> None:
        """Raises ProbeError, or whatever the client raises."""
