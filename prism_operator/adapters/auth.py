"""Credentials that stay valid: token files that are rotated, exec plugins, static ones.

pykube reads a service account's token once and knows no exec plugin of version v1, so none of its
authentication is used. A ``CredentialSource`` is asked before every request, and again after a 401.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from prism_operator.adapters.errors import CredentialError
from prism_operator.adapters.kubeconfig import Target
from prism_operator.api.meta import Json
from prism_operator.ports import Clock

TOKEN_REREAD_S = 60.0
PLUGIN_TIMEOUT_S = 60.0
# A rejected credential makes the plugin run again, but not with every request.
PLUGIN_RERUN_S = 10.0
# Renewed this long before it expires, so that no request is under way when it does.
EXPIRY_MARGIN = timedelta(seconds=30)
_EXEC_GROUP = "client.authentication.k8s.io"
_EXEC_VERSIONS = (f"{_EXEC_GROUP}/v1", f"{_EXEC_GROUP}/v1beta1")
_INTERACTIVE_MODES = ("Never", "IfAvailable", "Always")


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What a request carries: an ``Authorization`` header, a client certificate, both, neither."""

    authorization: str = ""
    certificate: tuple[str, str] | None = None  # paths of the certificate and its key


class CredentialSource(Protocol):
    """Where credentials come from. Thread-safe."""

    def current(self) -> Credential:
        """The credential to use now. Raises ``CredentialError``."""

    def renew(self, rejected: Credential) -> bool:
        """After a 401: whether ``current`` is another one now, so that one retry makes sense."""


def credential_source(target: Target, clock: Clock) -> CredentialSource:
    """The source for a kubeconfig's user. Raises ``CredentialError``."""
    user = target.user
    certificate = (
        (user["client-certificate"], user["client-key"]) if "client-certificate" in user else None
    )
    if user.get("tokenFile"):
        return TokenFile(Path(user["tokenFile"]), clock, certificate)
    if user.get("token"):
        return StaticCredential(Credential(_bearer(user["token"], "the token"), certificate))
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return StaticCredential(Credential("Basic " + base64.b64encode(pair).decode(), certificate))
    if "exec" in user:
        return ExecPlugin(user["exec"], target.cluster, clock)
    return StaticCredential(Credential("", certificate))


@dataclass(frozen=True, slots=True)
class StaticCredential:
    """A credential that never changes."""

    credential: Credential

    def current(self) -> Credential:
        """See ``CredentialSource``."""
        return self.credential

    def renew(self, rejected: Credential) -> bool:  # noqa: ARG002  there is no other one
        """See ``CredentialSource``."""
        return False


class TokenFile:
    """A token in a file that somebody rotates: read again every 60 s, and after a 401."""

    def __init__(
        self, path: Path, clock: Clock, certificate: tuple[str, str] | None = None
    ) -> None:
        self._path = path
        self._clock = clock
        self._certificate = certificate
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._read_at_s = 0.0

    def current(self) -> Credential:
        """See ``CredentialSource``."""
        with self._lock:
            age_s = self._clock.monotonic_s() - self._read_at_s
            if self._credential is None or age_s >= TOKEN_REREAD_S:
                self._read()
            if self._credential is None:
                raise CredentialError(f"token file {self._path} cannot be read or is empty")
            return self._credential

    def renew(self, rejected: Credential) -> bool:
        """See ``CredentialSource``."""
        with self._lock:
            self._read()
            return self._credential is not None and self._credential != rejected

    def _read(self) -> None:
        """Keeps the token we have when the file cannot be read just now: it may still be valid."""
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        if token:
            bearer = _bearer(token, f"token file {self._path}")
            self._credential = Credential(bearer, self._certificate)
            self._read_at_s = self._clock.monotonic_s()


class ExecPlugin:
    """A credential from a command: client.authentication.k8s.io/v1 and v1beta1.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    """

    def __init__(
        self,
        config: Json,
        cluster: Json,
        clock: Clock,
        *,
        is_terminal: Callable[[], bool] = lambda: sys.stdin is not None and sys.stdin.isatty(),
    ) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._expires: datetime | None = None
        self._ran_at_s = 0.0
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._command = self._check_command()
        self._env = self._check_env()
        self._api_version = self._check_api_version()
        self._interactive = self._check_interactive(is_terminal)
        self._cluster_info = _cluster_info(cluster) if config.get("provideClusterInfo") else None

    def current(self) -> Credential:
        """See ``CredentialSource``."""
        with self._lock:
            expired = (
                self._expires is not None and self._clock.now() >= self._expires - EXPIRY_MARGIN
            )
            # A plugin whose credentials live shorter than the margin must not run every time.
            if self._credential is None or (expired and self._may_run_again()):
                self._credential = self._run()
            return self._credential

    def renew(self, rejected: Credential) -> bool:
        """See ``CredentialSource``. Another thread may have renewed it meanwhile."""
        with self._lock:
            if self._credential == rejected and self._may_run_again():
                self._credential = self._run()
            return self._credential != rejected

    def close(self) -> None:
        """Removes the files of a client certificate."""
        if self._directory is not None:
            self._directory.cleanup()

    def _may_run_again(self) -> bool:
        return self._clock.monotonic_s() - self._ran_at_s >= PLUGIN_RERUN_S

    def _run(self) -> Credential:
        spec: Json = {"interactive": self._interactive}
        if self._cluster_info is not None:
            spec["cluster"] = self._cluster_info
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        self._ran_at_s = self._clock.monotonic_s()
        try:
            done = subprocess.run(  # noqa: S603  the user's kubeconfig names this command
                self._command,
                env={**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=None if self._interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if self._interactive else subprocess.PIPE,
                timeout=None if self._interactive else PLUGIN_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            hint = str(self._config.get("installHint") or "").strip()
            raise self._error(f"was not found{'; ' + hint if hint else ''}") from None
        except OSError as error:
            raise self._error(f"cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise self._error(f"did not end within {PLUGIN_TIMEOUT_S:g} s") from None
        if done.returncode:
            # Its stderr is for people, its stdout holds the credential and is never shown.
            said = (done.stderr or b"").decode(errors="replace").strip()[-300:]
            raise self._error(f"exited with {done.returncode}{': ' + said if said else ''}")
        return self._accept(done.stdout)

    def _accept(self, output: bytes) -> Credential:
        try:
            answer = json.loads(output)
            version, status = answer["apiVersion"], answer["status"]
            token = status.get("token")
            pair = (status.get("clientCertificateData"), status.get("clientKeyData"))
            expires = status.get("expirationTimestamp")
            until = datetime.fromisoformat(expires) if expires else None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._error("did not print an ExecCredential with a status") from None
        if version != self._api_version:
            raise self._error(f"printed {version}, expected {self._api_version}")
        if bool(pair[0]) != bool(pair[1]):
            raise self._error("printed only one of clientCertificateData and clientKeyData")
        if not token and not pair[0]:
            raise self._error("printed neither a token nor a client certificate")
        bearer = _bearer(token, f"exec plugin {self._command[0]}") if token else ""
        self._expires = until.replace(tzinfo=until.tzinfo or UTC) if until else None
        return Credential(bearer, self._write(*pair) if pair[0] else None)

    def _write(self, certificate: str, key: str) -> tuple[str, str]:
        """Under a new name each time: connections made with the old pair are not used again."""
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="prism-operator-")
        folder = tempfile.mkdtemp(dir=self._directory.name)
        paths = (os.path.join(folder, "certificate"), os.path.join(folder, "key"))
        for path, content in zip(paths, (certificate, key), strict=True):
            Path(path).touch(mode=0o600)
            Path(path).write_text(content, encoding="utf-8")
        return paths

    def _check_command(self) -> list[str]:
        command, args = self._config.get("command"), self._config.get("args") or []
        if not isinstance(command, str) or not command:
            raise CredentialError("exec plugin of the kubeconfig: command is missing")
        if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
            raise self._error("has args that are not a list of strings")
        return [command, *args]

    def _check_env(self) -> dict[str, str]:
        try:
            return {str(e["name"]): str(e["value"]) for e in self._config.get("env") or ()}
        except (TypeError, KeyError):
            raise self._error("has an env that is not a list of names and values") from None

    def _check_api_version(self) -> str:
        version = self._config.get("apiVersion")
        if version not in _EXEC_VERSIONS:
            raise self._error(
                f"apiVersion {version} is not supported, expected {' or '.join(_EXEC_VERSIONS)}; "
                "update the plugin and write the kubeconfig anew"
            )
        return str(version)

    def _check_interactive(self, is_terminal: Callable[[], bool]) -> bool:
        default = "IfAvailable" if self._api_version.endswith("/v1beta1") else None
        mode = self._config.get("interactiveMode") or default
        if mode not in _INTERACTIVE_MODES:
            raise self._error(
                f"interactiveMode {mode} is not one of {', '.join(_INTERACTIVE_MODES)}"
            )
        if mode == "Always" and not is_terminal():
            raise self._error("needs a terminal (interactiveMode Always), and there is none")
        return mode != "Never" and is_terminal()

    def _error(self, problem: str) -> CredentialError:
        return CredentialError(f"exec plugin {self._config.get('command')} {problem}")


def _bearer(token: str, source: str) -> str:
    """The header for a token. A line break or control character in it would split the header."""
    stripped = token.strip()
    if not stripped or not stripped.isascii() or any(ord(c) <= 32 for c in stripped):
        raise CredentialError(f"{source} does not hold one token without spaces")
    return f"Bearer {stripped}"


def _cluster_info(cluster: Json) -> Json:
    """What ``provideClusterInfo`` promises a plugin about the cluster it makes a credential for."""
    info: Json = {
        field: cluster[field]
        for field in ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
        if cluster.get(field)
    }
    if authority := cluster.get("certificate-authority"):
        info["certificate-authority-data"] = base64.b64encode(Path(authority).read_bytes()).decode()
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == f"{_EXEC_GROUP}/exec":
            info["config"] = extension.get("extension")
    return info
