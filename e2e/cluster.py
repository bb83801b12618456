"""A real Kubernetes control plane on this machine: no Docker, no root, no kubelet.

    with LocalCluster.start(directory) as cluster:
        cluster.kubectl("get", "nodes")

One process each for etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK, which
plays the kubelets. Everything listens on loopback only and is thrown away at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from e2e.build import CONTROL_PLANE, KWOK, build
from e2e.certificates import Authority, service_account_key

Json: TypeAlias = dict[str, Any]

ADMIN = "prism-local-admin"
_HERE = Path(__file__).parent
_START_TIMEOUT_S = 90.0  # a laptop needs 5; a machine busy with a build needs many more
_SERVED_TIMEOUT_S = 60.0
_NODE_LEASE_S = 40
# controller-manager's default of 20 requests a second would be what a test measures.
CLIENT_QPS = 500
_STARTS = 3  # a port found free may be taken by another cluster before we bind it

_FRONT_PROXY = "front-proxy-client"

# Whom the installed operator runs as.
OPERATOR_ACCOUNT = "system:serviceaccount:prism-system:prism-operator-controller-manager"

# Whom the tests run operators as: their rights are the generated ones, and no others.
OPERATORS_GROUP = "prism-operators"

# Writes: what tests ask is who wrote what, and how often. Of the installed operator everything,
# to be compared with what it may do.
_AUDIT_POLICY: Json = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Reviews are questions, though one "creates" them.
        {
            "level": "None",
            "resources": [{"group": "authorization.k8s.io"}, {"group": "authentication.k8s.io"}],
        },
        {"level": "Metadata", "users": [OPERATOR_ACCOUNT]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}


class ClusterError(Exception):
    """The cluster could not be started or reached; the message says which part and why."""


class KubectlError(Exception):
    """kubectl ended with an error; the message is what it printed."""


def a_node(
    name: str,
    *,
    zone: str = "zone-a",
    region: str = "region-1",
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Json] = (),
) -> Json:
    """A node of 16 CPUs and 64 GiB, as a cloud provider labels it."""
    room = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": zone,
                "topology.kubernetes.io/region": region,
                **(labels or {}),
            },
        },
        "spec": {"taints": list(taints)},
        "status": {"capacity": room, "allocatable": room},
    }


THREE_ZONES = tuple(a_node(f"node-{zone}", zone=f"zone-{zone}") for zone in "abc")


@dataclass(frozen=True, slots=True)
class Programs:
    """The command that starts each component; None for one that is not there."""

    etcd: tuple[str, ...]
    apiserver: tuple[str, ...]
    kubectl: tuple[str, ...]
    controller_manager: tuple[str, ...] | None = None
    scheduler: tuple[str, ...] | None = None
    kwok: tuple[str, ...] | None = None
    upstream_etcd: bool = False  # the etcd program itself, not our subcommand with few flags

    @classmethod
    def built(cls) -> Programs:
        """Our own binaries, built when needed."""
        control_plane, kwok = str(build(CONTROL_PLANE)), str(build(KWOK))
        return cls(
            etcd=(control_plane, "etcd"),
            apiserver=(control_plane, "kube-apiserver"),
            kubectl=(control_plane, "kubectl"),
            controller_manager=(control_plane, "kube-controller-manager"),
            scheduler=(control_plane, "kube-scheduler"),
            kwok=(kwok,),
        )

    @classmethod
    def envtest(cls, directory: Path) -> Programs:
        """The three programs that ``KUBEBUILDER_ASSETS`` names: no controllers, no nodes."""
        for name in ("etcd", "kube-apiserver", "kubectl"):
            if not os.access(directory / name, os.X_OK):
                raise ClusterError(f"KUBEBUILDER_ASSETS={directory}: no program {name} in it")
        return cls(
            etcd=(str(directory / "etcd"),),
            apiserver=(str(directory / "kube-apiserver"),),
            kubectl=(str(directory / "kubectl"),),
            upstream_etcd=True,
        )


class Cluster:
    """A cluster somebody gave us: a kubeconfig and kubectl."""

    def __init__(self, kubeconfig: Path, kubectl: Sequence[str]) -> None:
        self.kubeconfig = kubeconfig
        self.kubectl_command = tuple(kubectl)

    @property
    def has_controllers(self) -> bool:
        """Whether Deployments become pods, and owned objects go with their owners."""
        return True

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.kubectl(
            "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"
        )

    def kubectl(
        self,
        *args: str,
        check: bool = True,
        stdin: str | None = None,
        kubeconfig: Path | None = None,
        timeout_s: float = 120.0,
    ) -> str:
        """What kubectl prints; with ``check=False`` also when it fails, its errors at the end.

        Raises:
            KubectlError: when it fails and ``check`` is set, or it takes longer than ``timeout_s``.
        """
        command = [*self.kubectl_command, *args]
        try:
            result = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env=self.environment(kubeconfig),
            )
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(args)}: no end in {timeout_s:g} s") from error
        if result.returncode and check:
            raise KubectlError(f"kubectl {' '.join(args)}: {result.stderr.strip()}")
        return result.stdout + (result.stderr if result.returncode else "")

    def install_crds(self, *files: Path) -> str:
        """Applies CRDs and waits until they are served; what kubectl printed.

        Raises:
            KubectlError: when they are refused, or not served within a minute.
        """
        named = [f"--filename={path}" for path in files]
        printed = self.kubectl("apply", "--server-side", *named)
        self.wait_for_crds(*named)
        return printed

    def wait_for_crds(self, *which: str) -> None:
        """Waits until CRDs, named as to kubectl, are served."""
        deadline_s = time.monotonic() + _SERVED_TIMEOUT_S
        while True:
            try:
                self.kubectl("wait", "--for=condition=Established", *which, "--timeout=60s")
                return
            except KubectlError as error:
                # kubectl gives up on one that has no conditions yet.
                if "accessor error" not in str(error) or time.monotonic() > deadline_s:
                    raise
            time.sleep(0.1)

    def get(self, *args: str) -> Json:
        """``kubectl get … -o json``."""
        answer: Json = json.loads(self.kubectl("get", *args, "--output=json"))
        return answer

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """The environment in which a client uses this cluster and no other."""
        return {**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig)}


class LocalCluster(Cluster):
    """A control plane that we run; see the module."""

    def __init__(self, directory: Path, programs: Programs, etcd_port: int, port: int) -> None:
        super().__init__(directory / "kubeconfig", programs.kubectl)
        self.directory = directory
        self.port = port
        self.outlives = False
        self.client_qps: int | None = CLIENT_QPS
        self.hpa_sync_s: int | None = None
        self._programs = programs
        self._etcd_port = etcd_port
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._pids: dict[str, tuple[int, str]] = {}

    @classmethod
    def start(
        cls,
        directory: Path | str,
        *,
        nodes: Sequence[Json] = THREE_ZONES,
        kwok: bool = True,
        controllers: bool = True,
        scheduler: bool = True,
        audit: bool = False,
        outlives: bool = False,
        client_qps: int | None = CLIENT_QPS,
        hpa_sync_s: int | None = None,
        programs: Programs | None = None,
    ) -> LocalCluster:
        """Starts a control plane with its files in ``directory``; ready when this returns.

        ``audit`` keeps a log of every write (``audit_events``). ``outlives`` lets it run on when
        this process ends; ``attach`` finds it again. ``client_qps`` is how many requests a second
        controller-manager and scheduler may make; None leaves them Kubernetes' limits (20, 50).
        ``hpa_sync_s`` is how often HPAs are looked at; None leaves Kubernetes' 15 s.

        Raises:
            ClusterError: when a component does not come up.
        """
        directory = Path(directory).absolute()
        programs = programs or Programs.built()
        for attempt in range(1, _STARTS + 1):
            etcd_port, port = free_ports(2)
            cluster = cls(directory, programs, etcd_port, port)
            cluster.outlives = outlives
            cluster.client_qps = client_qps
            cluster.hpa_sync_s = hpa_sync_s
            try:
                cluster._start_api(audit=audit)
                break
            except _PortTakenError:
                cluster.stop()
                if attempt == _STARTS:
                    raise
            except BaseException:
                cluster.stop()
                raise
        try:
            if controllers and programs.controller_manager:
                cluster.run("kube-controller-manager", cluster._controller_manager_command())
            if scheduler and programs.scheduler:
                cluster.run("kube-scheduler", cluster._scheduler_command())
            if kwok and programs.kwok:
                cluster.run("kwok", cluster._kwok_command())
                if nodes:
                    everything = {"apiVersion": "v1", "kind": "List", "items": list(nodes)}
                    cluster.kubectl("create", "--filename=-", stdin=json.dumps(everything))
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def attach(cls, directory: Path | str) -> LocalCluster | None:
        """The cluster that was started in ``directory`` with ``outlives``, if not stopped since.

        Ask ``is_running``: its processes may have died with the machine.
        """
        directory = Path(directory).absolute()
        try:
            state = json.loads((directory / "state.json").read_text())
        except FileNotFoundError:
            return None
        programs = Programs(**state["programs"])
        cluster = cls(directory, programs, state["etcd_port"], state["port"])
        cluster.outlives = True
        cluster._pids = {k: (pid, started) for k, (pid, started) in state["pids"].items()}
        return cluster

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def has_controllers(self) -> bool:
        """See ``Cluster``."""
        return {"kube-controller-manager", "kube-scheduler", "kwok"} <= self._pids.keys()

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def pids(self) -> list[int]:
        """The process of every component."""
        return [pid for pid, _ in self._pids.values()]

    @property
    def is_running(self) -> bool:
        """Whether all components that were started still run."""
        return bool(self._pids) and all(
            _started(pid) == started for pid, started in self._pids.values()
        )

    @property
    def audit_log(self) -> Path:
        """One audit event a line, for every write, and reads by ``OPERATOR_ACCOUNT``."""
        return self.directory / "audit.log"

    @property
    def front_proxy_ca(self) -> Path:
        """Who signed the certificate that the API server shows to aggregated APIs."""
        return self.directory / "pki" / "front-proxy-ca.crt"

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """See ``Cluster``."""
        # A discovery cache of its own: kubectl's is keyed by address, and ports come again.
        cache = str(self.directory / "kubectl-cache")
        return {**super().environment(kubeconfig), "KUBECACHEDIR": cache}

    def user_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with which one is ``user`` in ``groups``; RBAC says what that allows."""
        authority = Authority.load(self._pki("ca.key"), self._pki("ca.crt"))
        certificate, key = authority.client(user, groups)
        path = self.directory / f"kubeconfig-{user.replace(':', '-')}"
        _write_secret(path, json.dumps(self._kubeconfig(user, certificate, key), indent=1).encode())
        return path

    def audit_events(self, user: str | None = None) -> list[Json]:
        """What ``audit_log`` holds, oldest first; only that of ``user`` when one is named."""
        if not self.audit_log.exists():
            return []
        *lines, _unfinished = self.audit_log.read_text().split("\n")
        events: list[Json] = [json.loads(line) for line in lines]
        return [e for e in events if user is None or e["user"]["username"] == user]

    def link_kubectl(self) -> Path:
        """A program ``kubectl`` of the cluster's version, for a PATH."""
        script = self.directory / "bin" / "kubectl"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec {shlex.join(self.kubectl_command)} "$@"\n')
        script.chmod(0o755)
        return script

    def run(
        self, component: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts a process that is killed with the cluster; ``log`` has what it prints."""
        if not self.outlives:
            command = [sys.executable, "-IS", str(_HERE / "guard.py"), str(os.getpid()), *command]
        with self._log_path(component).open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.directory,
                # Not the user's: neither a ~/.kwok nor a proxy may change what runs here.
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": str(self.directory),
                    **(environment or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[component] = child
        self._pids[component] = (child.pid, _started(child.pid))
        state = {
            "programs": {name: getattr(self._programs, name) for name in Programs.__slots__},
            "etcd_port": self._etcd_port,
            "port": self.port,
            "pids": self._pids,
        }
        (self.directory / "state.json").write_text(json.dumps(state))

    def kill(self, component: str) -> None:
        """SIGKILLs one component (``kube-apiserver``, …)."""
        pid, started = self._pids[component]
        if _started(pid) == started:
            os.killpg(pid, signal.SIGKILL)
        if child := self._children.get(component):
            child.wait()
        else:
            _until(lambda: _started(pid) != started, 10.0, f"{component} ({pid}) survived SIGKILL")

    def restart(self, component: str) -> None:
        """Kills one component and starts it again with the same data; waits for /readyz."""
        self.kill(component)
        commands = {
            "etcd": self._etcd_command,
            "kube-apiserver": lambda: self._apiserver_command(audit=self.audit_log.exists()),
            "kube-controller-manager": self._controller_manager_command,
            "kube-scheduler": self._scheduler_command,
            "kwok": self._kwok_command,
        }
        self.run(component, commands[component]())
        self._wait_until_ready()

    def stop(self) -> None:
        """Kills every component. Idempotent; the files stay."""
        # The API server first, by SIGKILL like all: on SIGTERM it waits for an etcd that is gone.
        for component in sorted(self._pids, key=lambda c: c == "etcd"):
            self.kill(component)
        self._pids.clear()
        self._children.clear()
        (self.directory / "state.json").unlink(missing_ok=True)

    def log(self, component: str) -> str:
        """What a component has logged."""
        return self._log_path(component).read_text(errors="replace")

    def _start_api(self, *, audit: bool) -> None:
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)
        for name in ("logs", "pki"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self._write_credentials()
        self.audit_log.unlink(missing_ok=True)
        if audit:
            (self.directory / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
        self.run("etcd", self._etcd_command())
        self._until(lambda: _listens(self._etcd_port), "etcd")
        self.run("kube-apiserver", self._apiserver_command(audit=audit))
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        context = ssl.create_default_context(cafile=str(self.directory / "pki" / "ca.crt"))

        def is_ready() -> bool:
            try:
                with urllib.request.urlopen(f"{self.server}/readyz", timeout=5, context=context):
                    return True
            except (urllib.error.URLError, OSError):
                return False

        self._until(is_ready, "kube-apiserver")

    def _until(self, condition: Callable[[], bool], component: str) -> None:
        """Waits for the condition while the component runs."""
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not condition():
            if (code := self._children[component].poll()) is not None:
                if "address already in use" in self.log(component):
                    raise _PortTakenError(f"{component}: its port was taken by another program")
                raise ClusterError(f"{component} ended with {code}:\n{self._log_tail(component)}")
            if time.monotonic() > deadline_s:
                raise ClusterError(
                    f"{component} not ready after {_START_TIMEOUT_S:g} s:\n"
                    f"{self._log_tail(component)}"
                )
            time.sleep(0.05)

    def _write_credentials(self) -> None:
        authority, front_proxy = Authority.create(), Authority.create()
        # As whom the API server comes to those that it passes requests on to.
        proxy_certificate, proxy_key = front_proxy.client(_FRONT_PROXY, [])
        certificate, key = authority.server(
            ["127.0.0.1"], ["localhost", "kubernetes", "kubernetes.default.svc"]
        )
        for name, content in (
            ("ca.crt", authority.certificate),
            ("ca.key", authority.key),
            ("apiserver.crt", certificate),
            ("apiserver.key", key),
            ("front-proxy-ca.crt", front_proxy.certificate),
            ("front-proxy.crt", proxy_certificate),
            ("front-proxy.key", proxy_key),
            ("service-accounts.key", service_account_key()),
        ):
            _write_secret(self.directory / "pki" / name, content)
        self.user_kubeconfig(ADMIN, ["system:masters"]).replace(self.kubeconfig)
        # Everything may do everything here; the names are for the audit log.
        for component in ("kube-controller-manager", "kube-scheduler", "kwok"):
            self.user_kubeconfig(f"system:{component}", ["system:masters"])

    def _kubeconfig(self, user: str, certificate: bytes, key: bytes) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "prism-local",
                    "cluster": {
                        "server": self.server,
                        "certificate-authority-data": b64encode(self._pki("ca.crt")).decode(),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": b64encode(certificate).decode(),
                        "client-key-data": b64encode(key).decode(),
                    },
                }
            ],
            "contexts": [
                {"name": "prism-local", "context": {"cluster": "prism-local", "user": user}}
            ],
            "current-context": "prism-local",
        }

    def _etcd_command(self) -> list[str]:
        client = f"http://127.0.0.1:{self._etcd_port}"
        # A unix socket in the working directory: "unix" URLs have the form host:port.
        peer, data = "unix://peer:0", self.directory / "etcd"
        if not self._programs.upstream_etcd:
            return [
                *self._programs.etcd,
                f"--data-dir={data}",
                f"--client-url={client}",
                f"--peer-url={peer}",
            ]
        return [
            *self._programs.etcd,
            f"--data-dir={data}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]

    def _apiserver_command(self, *, audit: bool) -> list[str]:
        pki = self.directory / "pki"
        command = [
            *self._programs.apiserver,
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service-accounts.key'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--service-cluster-ip-range=10.96.0.0/12",
            # Nobody reaches a loopback address through the `kubernetes` Service. Without a route to
            # anywhere it would not start, unless it is told an address (RFC 5737's).
            "--endpoint-reconciler-type=none",
            "--advertise-address=192.0.2.1",
            # Aggregated APIs, such as metrics.
            f"--requestheader-client-ca-file={self.front_proxy_ca}",
            f"--requestheader-allowed-names={_FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy.key'}",
            "--allow-privileged=true",
        ]
        if audit:
            command += [
                f"--audit-policy-file={self.directory / 'audit-policy.json'}",
                f"--audit-log-path={self.audit_log}",
            ]
        return command

    def _controller_manager_command(self) -> list[str]:
        pki = self.directory / "pki"
        kubeconfig = self.directory / "kubeconfig-system-kube-controller-manager"
        sync_s = self.hpa_sync_s
        return [
            *(self._programs.controller_manager or ()),
            f"--kubeconfig={kubeconfig}",
            *(() if sync_s is None else (f"--horizontal-pod-autoscaler-sync-period={sync_s}s",)),
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            "--secure-port=0",
            "--leader-elect=false",
            *self._client_limits(),
            # The usual default, said because a test may wait for it: node dead after this.
            "--node-monitor-grace-period=50s",
        ]

    def _scheduler_command(self) -> list[str]:
        return [
            *(self._programs.scheduler or ()),
            f"--kubeconfig={self.directory / 'kubeconfig-system-kube-scheduler'}",
            "--secure-port=0",
            "--leader-elect=false",
            *self._client_limits(),
        ]

    def _client_limits(self) -> list[str]:
        if self.client_qps is None:
            return []
        return [f"--kube-api-qps={self.client_qps}", f"--kube-api-burst={2 * self.client_qps}"]

    def _kwok_command(self) -> list[str]:
        return [
            *(self._programs.kwok or ()),
            f"--kubeconfig={self.directory / 'kubeconfig-system-kwok'}",
            f"--config={_HERE / 'kwok' / 'stages.yaml'}",
            "--manage-all-nodes=true",
            f"--node-lease-duration-seconds={_NODE_LEASE_S}",
            "--cidr=10.244.0.1/16",
            "--node-ip=10.0.0.1",
        ]

    def _pki(self, name: str) -> bytes:
        return (self.directory / "pki" / name).read_bytes()

    def _log_path(self, component: str) -> Path:
        return self.directory / "logs" / f"{component}.log"

    def _log_tail(self, component: str) -> str:
        return "\n".join(self.log(component).splitlines()[-15:])


class _PortTakenError(ClusterError):
    pass


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free right now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _started(pid: int) -> str:
    """When a process was started, so that another one with its pid is told apart; "" if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _until(condition: Callable[[], bool], timeout_s: float, message: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise ClusterError(message)
        time.sleep(0.02)


def _write_secret(path: Path, content: bytes) -> None:
    """Writes a file nobody else may read, all at once."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
