"""The connection to one API server, found by kubectl's rules."""

from __future__ import annotations

import os
import random
import shutil
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import requests
from requests.adapters import BaseAdapter

from prism_operator.adapters.auth import (
    Credential,
    CredentialSource,
    ExecPlugin,
    StaticCredential,
    credential_source,
)
from prism_operator.adapters.client import Client, OnRequest, path_of
from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.errors import (
    CertificateError,
    ConnectError,
    CredentialError,
    KubeconfigError,
    UnreachableError,
)
from prism_operator.adapters.kubeconfig import SERVICE_ACCOUNT, Target, find_target
from prism_operator.adapters.outcomes import explain, failure_of_error, outcome_of, redact
from prism_operator.adapters.reader import WATCH_TIMEOUT_S, HttpReader
from prism_operator.adapters.watch import SILENCE_MARGIN_S
from prism_operator.adapters.writer import HttpWriter, RateLimit
from prism_operator.api.meta import RESOURCES, Json, Ref, Resource
from prism_operator.ports import Clock, Failed, Ok, Reason, Writer

__all__ = [
    "Capabilities",
    "CertificateError",
    "ConnectError",
    "Connection",
    "CredentialError",
    "KubeconfigError",
    "Missing",
    "Permission",
    "UnreachableError",
    "connect",
    "connect_over",
]

# Well below a leader's renewDeadline of 10 s, so that it can try twice.
LEASE_TIMEOUT_S = 5.0
LOG_BYTES_MAX = 1 << 20


class Permission(NamedTuple):
    """A verb on a resource, on one of its subresources, or only on the object called ``name``."""

    verb: str
    resource: Resource
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        group = f".{self.resource.group}" if self.resource.group else ""
        subresource = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {self.resource.plural}{group}{subresource}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A permission we do not have; ``str`` names verb, resource and namespace."""

    permission: Permission
    namespace: str

    def __str__(self) -> str:
        if not self.permission.resource.namespaced:
            return f"cannot {self.permission}"
        where = f'namespace "{self.namespace}"' if self.namespace else "all namespaces"
        return f"cannot {self.permission} in {where}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the API server serves, as of one probe. ``version`` is empty if it did not tell."""

    version: str
    served: frozenset[Resource]
    unknown: frozenset[Resource]

    def serves(self, resource: Resource) -> bool | None:
        """Whether the resource is served; None when the server did not tell."""
        return None if resource in self.unknown else resource in self.served


class Connection:
    """One API server with one credential. Thread-safe."""

    def __init__(
        self,
        target: Target,
        credentials: CredentialSource,
        *,
        http_adapter: BaseAdapter | None = None,
        on_request: OnRequest | None = None,
    ) -> None:
        self.server = target.server
        self.context = target.context
        self.namespace = target.namespace
        self._client = Client(target, credentials, http_adapter=http_adapter, on_request=on_request)
        self._forget = weakref.finalize(self, _remove_files, target.directory, credentials)

    def check_server(self) -> str:
        """The server's version, like ``v1.37.2``. Raises ``ConnectError`` with what is wrong."""
        try:
            response = self._client.call("GET", "/version")
        except requests.exceptions.SSLError as error:
            raise CertificateError(
                f"{self._subject}: its certificate is not accepted: {redact(explain(error))}"
            ) from error
        except requests.RequestException as error:
            raise UnreachableError(
                f"{self._subject}: does not answer: {redact(explain(error))}"
            ) from error
        outcome = outcome_of(response)
        match outcome:
            case Ok(obj) if "gitVersion" in obj:
                return str(obj["gitVersion"])
            case Failed(reason=Reason.UNAUTHORIZED):
                raise CredentialError(f"{self._subject}: does not accept our credential (HTTP 401)")
            case Failed(reason=Reason.FORBIDDEN, message=message):
                raise CredentialError(f"{self._subject}: {message}")
            case Failed(message=message):
                raise UnreachableError(
                    f"{self._subject}: does not answer as an API server: {message}"
                )
            case _:
                raise UnreachableError(f"{self._subject}: is not an API server")

    def reader(
        self,
        *,
        rng: random.Random | None = None,
        notify: Callable[[], None] | None = None,
        lease_timeout_s: float = LEASE_TIMEOUT_S,
        trims: Mapping[Resource, Callable[[Json], Json]] | None = None,
        watch_timeout_s: tuple[int, int] = WATCH_TIMEOUT_S,
        watch_margin_s: float = SILENCE_MARGIN_S,
    ) -> HttpReader:
        """A Reader for any number of threads: one HTTP session per watch and per calling thread.

        ``rng`` draws the watches' lengths. ``notify`` is called from a watch's thread whenever its
        ``poll`` or ``ended`` has news, so that a driver can sleep until then; it must not block.
        A call takes at most 5 s to connect and 30 s to answer, for a Lease ``lease_timeout_s``.
        ``trims`` say what to keep of each object of a list, by resource. The server is asked to end
        a watch after a time in the range ``watch_timeout_s``; one that is silent for
        ``watch_margin_s`` longer is given up.
        """
        return HttpReader(
            self._client,
            rng=rng or random.Random(),
            notify=notify,
            lease_timeout_s=lease_timeout_s,
            trims=trims,
            watch_timeout_s=watch_timeout_s,
            watch_margin_s=watch_margin_s,
        )

    def logs(
        self, pod: Ref, container: str, *, lines_max: int, previous: bool = False
    ) -> str | Failed:
        """The last lines a container wrote, at most 1 MiB of them."""
        path = path_of(pod.resource, pod.namespace, pod.name, "log")
        if isinstance(path, Failed):
            return path
        params = {"container": container, "tailLines": str(lines_max), "timestamps": "true"}
        params |= {"limitBytes": str(LOG_BYTES_MAX)} | ({"previous": "true"} if previous else {})
        try:
            response = self._client.call("GET", path, params=params)
        except (requests.RequestException, ConnectError) as error:
            return failure_of_error(error, f"GET {path}")
        if response.status_code != requests.codes.ok:
            failed = outcome_of(response)
            return failed if isinstance(failed, Failed) else Failed(Reason.TRANSIENT, "no log")
        return response.content.decode(errors="replace")

    def server_time(self) -> datetime | None:
        """The server's time of day, to the second; None when it does not tell."""
        try:
            header = self._client.call("GET", "/version").headers.get("Date")
            when = parsedate_to_datetime(header) if header else None
        except (requests.RequestException, ConnectError, ValueError):
            return None
        return None if when is None else when.astimezone(UTC)

    def writer(
        self,
        *,
        lease_timeout_s: float = LEASE_TIMEOUT_S,
        qps: float | None = None,
        burst: int = 1,
        dry_run: bool = False,
    ) -> Writer:
        """A Writer for any number of threads: one HTTP session per calling thread.

        Timeouts are those of ``reader``. Without ``qps`` nothing is held back: that is the
        server's own (API priority and fairness). ``dry_run`` writes nothing and validates fields
        strictly.
        """
        return HttpWriter(
            self._client,
            lease_timeout_s=lease_timeout_s,
            rate_limit=RateLimit(qps, burst) if qps else None,
            dry_run=dry_run,
        )

    def capabilities(self, resources: Iterable[Resource] = RESOURCES) -> Capabilities:
        """Asks the server anew what it serves. Never raises."""
        version = self._client.outcome("GET", "/version")
        served: set[Resource] = set()
        unknown: set[Resource] = set()
        asked = frozenset(resources)
        for group, number in sorted({(r.group, r.version) for r in asked}):
            path = f"/apis/{group}/{number}" if group else f"/api/{number}"
            of_version = {r for r in asked if (r.group, r.version) == (group, number)}
            match self._client.outcome("GET", path):
                case Ok(obj):
                    found = [r for r in obj.get("resources") or () if isinstance(r, dict)]
                    names = {(r.get("name"), r.get("kind")) for r in found}
                    served |= {r for r in of_version if (r.plural, r.kind) in names}
                case Failed(reason=Reason.NO_KIND | Reason.NOT_FOUND):
                    pass
                case Failed():
                    unknown |= of_version
        return Capabilities(
            version=str(version.obj.get("gitVersion", "")) if isinstance(version, Ok) else "",
            served=frozenset(served),
            unknown=frozenset(unknown),
        )

    def check_access(
        self, namespace: str, permissions: Sequence[Permission]
    ) -> tuple[Missing, ...]:
        """Those that we lack; ``namespace`` ``""`` means in all. Raises ``ConnectError``."""
        return tuple(
            Missing(permission, namespace)
            for permission in permissions
            if not self._is_allowed(namespace, permission)
        )

    def close(self) -> None:
        """Closes the sessions and removes the files made for the credential. Idempotent.

        Watches are their owners' to close.
        """
        self._client.close()
        self._forget()

    @property
    def _subject(self) -> str:
        return f'server {self.server} (context "{self.context}")'

    def _is_allowed(self, namespace: str, permission: Permission) -> bool:
        resource = permission.resource
        attributes = {
            "namespace": namespace if resource.namespaced else "",
            "verb": permission.verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": permission.subresource,
            "name": permission.name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        outcome = self._client.send_json("POST", path, review)
        if isinstance(outcome, Failed):
            raise ConnectError(
                f"{self._subject}: cannot ask for our permissions: {outcome.message}"
            )
        return bool((outcome.obj.get("status") or {}).get("allowed"))


def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    on_request: OnRequest | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Finds the API server as kubectl does. Reads files, calls nobody.

    ``kubeconfig`` (one file, which must exist), else the files of ``KUBECONFIG`` merged, else
    ``~/.kube/config``, else the service account of the pod. ``on_request(method, host, code)`` is
    called after every request, from its thread. Raises ``ConnectError``.
    """
    target = find_target(kubeconfig, context, environ=environ, service_account=service_account)
    try:
        credentials = credential_source(target, clock or SystemClock())
    except CredentialError as error:
        _remove_files(target.directory, None)
        raise CredentialError(f'context "{target.context}": {error}') from error
    return Connection(target, credentials, on_request=on_request)


def connect_over(http_adapter: BaseAdapter, server: str = "http://in-process") -> Connection:
    """A connection over an in-process transport; its watches are read in the calling thread."""
    target = Target(context="in-process", cluster={"server": server}, user={}, namespace="default")
    return Connection(target, StaticCredential(Credential()), http_adapter=http_adapter)


def _remove_files(directory: Path | None, credentials: CredentialSource | None) -> None:
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)
    if isinstance(credentials, ExecPlugin):
        credentials.close()
