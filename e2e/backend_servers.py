"""Real servers of the kinds that PrismBackends name, each with TLS and a password.

NATS is built from its Go module, the others come from Debian: ``.ci/run`` installs them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.exceptions import SSLError
from cryptography.hazmat.primitives import serialization

from e2e.build import NATS, build, cache_directory
from e2e.certificates import Authority
from e2e.cluster import free_ports
from e2e.control_plane import Behaviour
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
    # What a check finds that comes without credentials.
    without_credentials: ClassVar[str] = "AuthenticationFailed"

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory = directory
        self.authority = authority
        (self.port,) = free_ports(1)
        self.username, self.password = USER, PASSWORD
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
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            # Of several processes the one we know may be the first to go.
            eventually(self._is_gone)

    def _is_gone(self) -> None:
        try:
            socket.create_connection(("localhost", self.port), timeout=1).close()
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise AssertionError(f"{self.provider} still answers: {error}") from error
        raise AssertionError(f"{self.provider} still listens")

    @contextmanager
    def hung(self) -> Iterator[None]:
        """It accepts connections, as the kernel does that for it, and never answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)


class ControlPlane(Server):
    """Our reference control plane. ``behave`` needs no restart."""

    provider, scheme = "control-plane", "grpc"

    def __init__(self, directory: Path, authority: Authority, *, tls: bool) -> None:
        super().__init__(directory, authority)
        self._tls = tls
        self.behave(Behaviour.UP)

    def command(self) -> list[str]:
        """See ``Server``."""
        place = (f"--directory={self.directory}", f"--port={self.port}")
        tls = ("--tls",) if self._tls else ()
        return [sys.executable, "-m", "e2e.control_plane", *place, *tls]

    def environment(self) -> Mapping[str, str]:
        """See ``Server``."""
        return {"PYTHONPATH": str(Path(__file__).parents[1])}

    def behave(self, behaviour: Behaviour) -> None:
        """What it does from now on."""
        (self.directory / "behaviour").write_text(behaviour)

    def namespaces(self) -> dict[str, Any]:
        """What it knows, by id."""
        file = self.directory / "namespaces.json"
        known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return known


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
        """See ``Server``. Its processes leave the group, and only it can end them."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None


class RabbitMq(Server):
    """rabbitmq-server, with the Erlang port mapper it would otherwise start and leave behind."""

    provider, scheme, path = "rabbitmq", "amqps", "%2F"

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory, authority)
        self._mapper_port, self._distribution_port = free_ports(2)
        self._mapper: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """See ``Server``."""
        (self.directory / "rabbitmq.conf").write_text(
            f"""\
listeners.tcp = none
listeners.ssl.default = {self.port}
ssl_options.cacertfile = {self.directory / "ca.crt"}
ssl_options.certfile = {self.directory / "tls.crt"}
ssl_options.keyfile = {self.directory / "tls.key"}
ssl_options.verify = verify_none
default_user = {USER}
default_pass = {PASSWORD}
"""
        )
        (self.directory / "enabled_plugins").write_text("[].\n")
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self) -> Mapping[str, str]:
        """See ``Server``."""
        return {
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": "prism@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
        }

    def start(self) -> None:
        """See ``Server``."""
        _program("rabbitmq-server")
        guard = [sys.executable, "-IS", str(_GUARD), str(os.getpid())]
        mapper = (_program("epmd"), "-port", str(self._mapper_port), "-address", "127.0.0.1")
        self._mapper = subprocess.Popen([*guard, *mapper], stdin=subprocess.DEVNULL)
        super().start()

    def stop(self) -> None:
        """See ``Server``."""
        super().stop()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None


class Kafka(Server):
    """A broker that is its own controller."""

    provider, scheme = "kafka", "kafka"

    def __init__(self, directory: Path, authority: Authority) -> None:
        super().__init__(directory, authority)
        # Besides TLS with a login: a login without TLS, and neither.
        self._controller_port, self.login_port, self.open_port = free_ports(3)

    def certify(self, certificate: bytes, key: bytes) -> None:
        """See ``Server``. Java wants the key as PKCS 8, and all in one file."""
        super().certify(certificate, key)
        private = serialization.load_pem_private_key(key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.directory / "store.pem").write_bytes(private + certificate)

    def command(self) -> list[str]:
        """See ``Server``."""
        properties = self.directory / "kafka.properties"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        properties.write_text(
            f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{self._controller_port}
controller.listener.names=CONTROLLER
listeners=SASL_SSL://localhost:{self.port},\\
  SASL_PLAINTEXT://localhost:{self.login_port},PLAINTEXT://localhost:{self.open_port},\\
  CONTROLLER://localhost:{self._controller_port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,\\
  SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={login} user_{USER}="{PASSWORD}";
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_{USER}="{PASSWORD}";
ssl.keystore.type=PEM
ssl.keystore.location={self.directory / "store.pem"}
log.dirs={self.directory / "data"}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
"""
        )
        java = (
            *(_program("java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-cp", f"{kafka_jars()}/*"),
        )
        if not (self.directory / "data").exists():
            formatting = ("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ")
            subprocess.run(
                [*java, *formatting, "-c", str(properties)], check=True, capture_output=True
            )
        return [*java, "kafka.Kafka", str(properties)]


class Sqs(Server):
    """moto's SQS and IAM: once accounts are made, it lets nobody in without one."""

    provider, scheme = "sqs", "https"
    without_credentials = "NotServing"  # moto answers 500, where AWS says 403

    def command(self) -> list[str]:
        """See ``Server``."""
        return [
            *(str(Path(sys.executable).with_name("moto_server")), "--host=localhost"),
            *(f"--port={self.port}", "--ssl-cert=tls.crt", "--ssl-key=tls.key"),
        ]

    def environment(self) -> Mapping[str, str]:
        """See ``Server``."""
        # Requests that make the account; what comes after them is asked who it is.
        return {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}

    def start(self) -> None:
        """See ``Server``. What it knew is gone with its process."""
        super().start()
        # With an expired certificate nobody gets as far as an account.
        with suppress(SSLError):
            self._make_account()

    def _make_account(self) -> None:
        iam = boto3.client(
            "iam",
            region_name="us-east-1",
            endpoint_url=f"https://localhost:{self.port}",
            verify=str(self.directory / "ca.crt"),
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        iam.create_user(UserName=USER)
        allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName=USER, PolicyName="sqs", PolicyDocument=policy)
        key = iam.create_access_key(UserName=USER)["AccessKey"]
        self.username, self.password = key["AccessKeyId"], key["SecretAccessKey"]


def kafka_jars() -> Path:
    """The broker's jars, copied once into the user's cache."""
    pom = Path(__file__).parent / "kafka" / "pom.xml"
    version = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = cache_directory() / "kafka" / version
    if not folder.exists():
        fresh = folder.with_name(f".{version}.{os.getpid()}")
        copy = ("dependency:copy-dependencies", f"-DoutputDirectory={fresh}")
        done = subprocess.run(
            [_program("mvn"), "--quiet", "--batch-mode", f"--file={pom}", *copy],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"mvn {copy[0]} failed:\n{done.stdout[-2000:]}")
        fresh.rename(folder)
    return folder


def _postgres(program: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else _program(program)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise MissingServer(f"{name} is missing: scripts/install-test-programs")
    return found
