"""What is to be checked of a backend, and what a check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, Literal, TypeAlias

from prism_operator.planning.endpoints import Endpoint

# After failures the interval doubles up to four times its length, or a minute if that is shorter:
# servers lock users out who knock too often with a wrong password.
BACKOFF_INTERVALS: Final = 4.0
BACKOFF_MAX_S: Final = 60.0

Phase: TypeAlias = Literal["Degraded", "Unreachable"]


@dataclass(frozen=True, slots=True)
class Certificates:
    """What TLS goes by, as PEM: whom to trust (the system's authorities if None), who we are."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """A backend, how to speak with it, and as whom. ``tls`` is None for plain text."""

    provider: str
    endpoint: Endpoint
    tls: Certificates | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """A target, how often to look at it, and how long to wait for its answer."""

    target: Target
    interval_s: float
    timeout_s: float

    @property
    def settle_s(self) -> float:
        """Anybody may look at once."""
        return 0.0

    def wait_s(self, failures: int) -> float:
        """Seconds until the next one, after so many failures in a row."""
        if not failures:
            return self.interval_s
        longest_s = max(self.interval_s, min(BACKOFF_INTERVALS * self.interval_s, BACKOFF_MAX_S))
        return min(self.interval_s * 2.0 ** min(failures - 1, 8), longest_s)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a check failed, as coarsely as it may be told to whoever reads the object.

    What a server or a library says stays out: it may repeat the password it was given.
    """

    reason: str
    message: str
    phase: Phase = "Degraded"  # somebody answers there who is of no use to us


NAME: Final = Trouble("NameNotResolved", "the host name cannot be resolved", "Unreachable")
REFUSED: Final = Trouble("ConnectionRefused", "the connection is refused", "Unreachable")
NO_ROUTE: Final = Trouble("NoRoute", "there is no way to its address", "Unreachable")
TIMEOUT: Final = Trouble("Timeout", "no answer within the timeout", "Unreachable")
LOST: Final = Trouble("ConnectionLost", "the connection ended before an answer came", "Unreachable")
ADDRESS: Final = Trouble(
    "AddressDenied", "its address is one that health checks may not connect to", "Unreachable"
)
AUTHENTICATION: Final = Trouble("AuthenticationFailed", "it refuses the credentials")
NOT_FOUND: Final = Trouble("NotFound", "it knows no such database, virtual host or queue")
NOT_SERVING: Final = Trouble("NotServing", "it answers, and says that it cannot serve now")
PROTOCOL: Final = Trouble("ProtocolError", "its answer is not of the provider's protocol")
TLS: Final = Trouble("TLSFailed", "TLS could not be agreed on")
TLS_EXPIRED: Final = Trouble("CertificateExpired", "its certificate is outside of its validity")
TLS_NAME: Final = Trouble("CertificateNameMismatch", "its certificate is not for this host name")
TLS_UNTRUSTED: Final = Trouble(
    "CertificateUntrusted", "its certificate is signed by nobody that ca.crt, or the system, trusts"
)
TLS_CLIENT: Final = Trouble(
    "CertificateRefused", "it refuses our certificate, or wants one: see tls.secretRef"
)
TLS_UNUSABLE: Final = Trouble(
    "CertificateUnusable", "ca.crt, tls.crt or tls.key of the TLS Secret cannot be read"
)


class Depth(Enum):
    """How much a check that succeeded says."""

    PROTOCOL = "it answers by its protocol"
    UNKNOWN_PROVIDER = (
        "it accepts connections; more is not checked, as there is no check for this provider"
    )
    NO_CLIENT = (
        "it accepts connections; more is not checked, as this operator was installed without the"
        ' extra "backends"'
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of ``target`` found: the trouble, or none and how long it took."""

    target: Target
    at: datetime
    trouble: Trouble | None = None
    latency_s: float | None = None
    depth: Depth = Depth.PROTOCOL
