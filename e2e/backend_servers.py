"""Real servers of the kinds that PrismBackends name, each with TLS and a password.

NATS is built from its Go module, the others come from Debian: ``.ci/run`` installs them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from e2e.build import NATS, build
from e2e.certificates import Authority
from e2e.cluster import free_ports
from e2e.waiting import eventually

USER, PASSWORD = "prism", "s3cret-word"
_GUARD = Path(__file__).parent / "guard.py"
_STARTS_WITHIN_S = 60.0


class MissingServer(Exception):  # noqa: N818 - it is what is missing
    """A program is not installed; the message says how it is."""


class Server(ABC):
    """A server on a port of this machine, for the name ``localhost`` and no other."""

    provider: ClassVar[str]
    scheme: ClassVar[str]
    path: ClassVar[str] = ""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory = directory
        self.authority = authority
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.log = directory / "log"
        self.certify(*authority.server(["127.0.0.2"], ["localhost"]))
        (directory / "ca.crt").write_bytes(authority.certificate)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it in the foreground, on ``port``."""

    def environment(self) -> Mapping[str, str]:
        """What it finds in its environment besides ours."""
        return {}

    @property
    def user(self) -> str | None:
        """Whom it runs as, when root starts it."""
        return None

    def url(self, host: str = "localhost") -> str:
        """Its URL, without credentials."""
        return f"{self.scheme}://{host}:{self.port}/{self.path}"

    def certify(self, certificate: bytes, key: bytes) -> None:
        """Has it show this certificate from its next start on."""
        for name, text in (("tls.crt", certificate), ("tls.key", key)):
            file = self.directory / name
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(text)

    def start(self) -> None:
        """Starts it and waits until it listens."""
        if self.user is not None:
            for path in (self.directory, *self.directory.glob("*")):
                shutil.chown(path, self.user)
        command = [sys.executable, "-IS", str(_GUARD), str(os.getpid())]
        if self.user is not None:
            # Whoever changes its user loses what the guard asked the kernel for.
            account = (f"--reuid={self.user}", f"--regid={self.user}", "--init-groups")
            command += [_program("setpriv"), *account, "--pdeathsig=KILL"]
        command += self.command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.directory,
            )
        eventually(self._listens, within_s=_STARTS_WITHIN_S)

    def _listens(self) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.provider} ended:\n{self.log.read_text()[-2000:]}")
        try:
            socket.create_connection(("localhost", self.port), timeout=1).close()
        except OSError as error:
            raise AssertionError(f"{self.provider} does not listen: {error}") from error

    def stop(self) -> None:
        """Kills it. Idempotent."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It accepts connections, as the kernel does that for it, and never answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


class Nats(Server):
    """nats-server."""

    provider, scheme = "nats", "nats"

    def command(self) -> list[str]:
        """See ``Server``."""
        return [
            *(str(build(NATS)), "--addr=localhost", f"--port={self.port}"),
            *(f"--user={USER}", f"--pass={PASSWORD}"),
            *("--tls", "--tlscert=tls.crt", "--tlskey=tls.key"),
        ]


class Redis(Server):
    """redis-server."""

    provider, scheme, path = "redis", "rediss", "0"

    def command(self) -> list[str]:
        """See ``Server``."""
        return [
            *(_program("redis-server"), "--bind", "localhost", "--port", "0"),
            *("--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", "tls.crt", "--tls-key-file", "tls.key"),
            *("--tls-ca-cert-file", "ca.crt", "--save", ""),
            *("--user", USER, "on", f">{PASSWORD}", "~*", "+@all", "--user", "default", "off"),
        ]


class Postgres(Server):
    """postgres, with one database."""

    provider, scheme, path = "postgres", "postgres", "postgres"

    @property
    def user(self) -> str | None:
        """See ``Server``. It refuses to run as root."""
        return "postgres" if os.geteuid() == 0 else None

    def command(self) -> list[str]:
        """See ``Server``."""
        data = self.directory / "data"
        if not data.exists():
            words = self.directory / "words"
            words.write_text(PASSWORD)
            if self.user:
                shutil.chown(words, self.user)
            subprocess.run(
                [
                    *(_postgres("initdb"), f"--pgdata={data}", f"--username={USER}"),
                    *("--auth=scram-sha-256", f"--pwfile={words}", "--no-sync"),
                    *("--locale=C", "--encoding=UTF8"),
                ],
                check=True,
                capture_output=True,
                user=self.user,
                cwd=self.directory,
            )
        return [
            *(_postgres("postgres"), "-D", str(data), "-p", str(self.port), "-h", "localhost"),
            *("-k", str(self.directory), "-c", "ssl=on", "-F"),
            *("-c", f"ssl_cert_file={self.directory / 'tls.crt'}"),
            *("-c", f"ssl_key_file={self.directory / 'tls.key'}"),
        ]

    def stop(self) -> None:
        """See ``Server``. What it left behind would keep it from starting again."""
        super().stop()
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)


def _postgres(program: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else _program(program)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise MissingServer(f"{name} is missing: scripts/install-backends")
    return found
