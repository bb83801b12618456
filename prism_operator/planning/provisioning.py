"""What the control plane of a proxy is asked to do about a namespace, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from prism_operator.planning.checks import Certificates, Trouble

# Calls that the server may still be at work on end with its deadline, which is ours less a second.
PROVISION_TIMEOUT_S: Final = 11.0
REVOKE_TIMEOUT_S: Final = 6.0
RESYNC_S: Final = 300.0
RETRY_S: Final = 2.0
RETRY_MAX_S: Final = 60.0

Pairs: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Admin:
    """Where a stack's control plane listens. ``tls`` is None for plain text."""

    stack: tuple[str, str]  # namespace and name
    host: str
    port: int
    tls: Certificates | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """A backend as the proxy reaches it; the URL holds no user information."""

    provider: str
    url: str
    credentials: Pairs = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class PatternConfig:
    """A pattern that the namespace may use."""

    pattern: str
    settings: Pairs = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Provision:
    """The namespace is to be there, and so: an upsert."""

    admin: Admin
    proxy: str
    namespace: str
    backends: tuple[tuple[str, BackendConfig], ...] = ()
    patterns: tuple[tuple[str, PatternConfig], ...] = ()
    auth: Pairs | None = None  # options of the provider oidc
    metadata: Pairs = ()

    @property
    def secrets(self) -> frozenset[str]:
        """What no message may repeat."""
        return frozenset(
            value for _, backend in self.backends for _, value in backend.credentials if value
        )


@dataclass(frozen=True, slots=True)
class Revoke:
    """The namespace is to be gone."""

    admin: Admin
    proxy: str
    namespace: str

    @property
    def secrets(self) -> frozenset[str]:
        """What no message may repeat."""
        return frozenset()


Request: TypeAlias = Provision | Revoke


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """Where a proxy's metrics are read, at the path /metrics."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a namespace uses, as far as its proxies say; summed over so many of them."""

    proxies: int
    keys: int | None = None
    connections: int | None = None
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is made now, again after failures, and once more every five minutes.

    With ``metrics``, what the namespace uses is read whenever a request has succeeded.
    """

    target: Request
    metrics: MetricsEndpoint | None = None

    @property
    def timeout_s(self) -> float:
        """How long to wait for an answer."""
        return REVOKE_TIMEOUT_S if isinstance(self.target, Revoke) else PROVISION_TIMEOUT_S

    @property
    def settle_s(self) -> float:
        """How long whoever begins to lead waits before the first one.

        A predecessor's CreateNamespace may still be under way: a revocation that it overtakes
        would be undone by it.
        """
        return PROVISION_TIMEOUT_S if isinstance(self.target, Revoke) else 0.0

    def wait_s(self, failures: int) -> float:
        """Seconds until the next one, after so many failures in a row."""
        if not failures:
            return RESYNC_S
        return min(RETRY_S * 2.0 ** min(failures - 1, 8), RETRY_MAX_S)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: the trouble, or none and what the server said."""

    target: Request
    at: datetime
    trouble: Trouble | None = None
    message: str = ""
    latency_s: float | None = None
    usage: Usage | None = None


NOT_REGISTERED: Final = Trouble(
    "ProxyNotRegistered", "no proxy is registered with it yet", "Unreachable"
)
NOT_IMPLEMENTED: Final = Trouble("NotImplemented", "it does not implement this call")
GARBAGE: Final = Trouble("ProtocolError", "its answer is not that of a Prism control plane")


def rejected(message: str) -> Trouble:
    """It understood the request, and will not do it."""
    return Trouble(
        "Rejected", f"it refuses: {message}" if message else "it refuses, and says no more"
    )


_SAID_CHARS_MAX: Final = 300


def repeatable(said: str, request: Request) -> str:
    """What a server said, fit for a status: one line, without the secrets it was told."""
    for secret in sorted(request.secrets, key=lambda text: (-len(text), text)):
        said = said.replace(secret, "***")
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())[:_SAID_CHARS_MAX]
