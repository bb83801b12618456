"""The connection to one API server, found by kubectl's rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from requests.adapters import BaseAdapter

from prism_operator.api.meta import RESOURCES, Resource
from prism_operator.ports import Reader, Writer


class ConnectError(Exception):
    """No usable connection. The message is for people: what is wrong, where, and what to do."""


class KubeconfigError(ConnectError):
    """The kubeconfig does not exist, cannot be read, or names things it does not have."""


class CredentialError(ConnectError):
    """No credential: a token file that is empty, an exec plugin that fails (it is named)."""


class UnreachableError(ConnectError):
    """Nothing answers at the server's address."""


class CertificateError(ConnectError):
    """The server's certificate is not trusted, or does not bear the name it was called by."""


class Permission(NamedTuple):
    """A verb on a resource, or on one of its subresources."""

    verb: str
    resource: Resource
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A permission we do not have; ``str`` names verb, resource and namespace."""

    permission: Permission
    namespace: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the API server is and serves, as of one probe."""

    version: str
    served: frozenset[Resource]
    unknown: frozenset[Resource]

    def serves(self, resource: Resource) -> bool | None:
        """Whether the resource is served; None when the server did not tell."""
        return None if resource in self.unknown else resource in self.served


class Connection:
    """One API server with one credential. Thread-safe; ``close`` ends every watch."""

    server: str  # URL
    context: str  # of the kubeconfig; "in-cluster" for a service account's

    def check_server(self) -> str:
        """The server's version, like ``v1.37.2``. Raises ``ConnectError`` with what is wrong."""
        raise NotImplementedError

    def reader(
        self, *, rng: random.Random | None = None, notify: Callable[[], None] | None = None
    ) -> Reader:
        """A Reader for any number of threads: one HTTP session per watch and per calling thread.

        ``rng`` draws the watches' lengths. ``notify`` is called from a watch's thread whenever its
        ``poll`` or ``ended`` has news, so that a driver can sleep until then; it must not block.
        """
        raise NotImplementedError

    def writer(
        self,
        *,
        lease_timeout_s: float = 5.0,
        qps: float | None = None,
        burst: int = 1,
        dry_run: bool = False,
    ) -> Writer:
        """A Writer for any number of threads: one HTTP session per calling thread.

        A call about a Lease takes at most ``lease_timeout_s``; any other 5 s to connect and
        30 s to answer. ``dry_run`` writes nothing and validates fields strictly.
        """
        raise NotImplementedError

    def capabilities(self, resources: Iterable[Resource] = RESOURCES) -> Capabilities:
        """Asks the server anew what it serves. Never raises."""
        raise NotImplementedError

    def check_access(
        self, namespace: str, permissions: Sequence[Permission]
    ) -> tuple[Missing, ...]:
        """Those that we lack; ``namespace`` ``""`` means in all. Raises ``ConnectError``."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends all watches and closes all sessions. Idempotent."""
        raise NotImplementedError


def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    on_request: Callable[[str, str, str], None] | None = None,
) -> Connection:
    """Finds the API server as kubectl does. Reads files, calls nobody.

    ``kubeconfig`` (one file, which must exist), else the files of ``KUBECONFIG`` merged, else
    ``~/.kube/config``, else the service account of the pod. ``on_request(method, host, code)`` is
    called after every request, from its thread. Raises ``ConnectError``.
    """
    raise NotImplementedError


def connect_over(http_adapter: BaseAdapter, server: str = "http://in-process") -> Connection:
    """A connection over an in-process transport; its watches are read in the calling thread."""
    raise NotImplementedError
