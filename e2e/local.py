"""The local cluster behind ``make cluster-up``, and commands against the cluster that is meant.

    python -m e2e.local up | down | kubeconfig | install | uninstall [--force]
        | deploy IMAGE | undeploy | check | exec COMMAND…

Which cluster the commands from ``install`` on mean: kubectl's own rules, but a running local
cluster is preferred when KUBECONFIG is unset. They print the server first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from e2e.build import BuildError
from e2e.cluster import Cluster, ClusterError, Json, KubectlError, LocalCluster

_ROOT = Path(__file__).parent.parent
# Another place lets tests have one beside the user's.
_DIRECTORY = Path(os.environ.get("PRISM_CLUSTER_DIRECTORY") or _ROOT / ".cluster").absolute()
_CRDS = _ROOT / "crds"
_CONFIG = _ROOT / "config" / "default"
# What undeploy leaves: users' objects would go with the one, and Secrets of theirs with the other.
_LEFT = ("CustomResourceDefinition", "Namespace")
_LOCAL_CONTEXT = "docker-desktop"
_RESOURCES = ("prismstacks", "prismpatterns", "prismbackends", "prismnamespaces")
_OUR_FINALIZERS = "prism.io/"


class UsageError(Exception):
    """What was asked cannot be done; the message says what to do instead."""


def up() -> None:
    """Starts the local cluster, unless it runs."""
    cluster = LocalCluster.attach(_DIRECTORY)
    if cluster and cluster.is_running:
        print(f"The local cluster runs already: {cluster.server}")
    else:
        if cluster:
            cluster.stop()
        started_s = time.monotonic()
        cluster = LocalCluster.start(_DIRECTORY, outlives=True)
        cluster.link_kubectl()
        print(f"A local cluster runs after {time.monotonic() - started_s:.1f} s: {cluster.server}")
    print('  export KUBECONFIG="$(make -s cluster-kubeconfig)"   # for kubectl')
    if not shutil.which("kubectl"):
        print(f'  export PATH="{_DIRECTORY / "bin"}:$PATH"   # a kubectl, since you have none')
    print("  make cluster-down   # ends it; its objects are lost")


def down() -> None:
    """Ends the local cluster and deletes its files."""
    if cluster := LocalCluster.attach(_DIRECTORY):
        cluster.stop()
        print(f"Stopped the local cluster {cluster.server}")
    else:
        print("No local cluster runs.")
    shutil.rmtree(_DIRECTORY, ignore_errors=True)


def kubeconfig() -> None:
    """Prints the path of the local cluster's kubeconfig, and nothing else."""
    cluster = _running()
    if not cluster:
        raise UsageError("no local cluster runs; start one: make cluster-up")
    print(cluster.kubeconfig)


def install() -> None:
    """Installs the CRDs."""
    cluster = _meant()
    cluster.announce()
    print(cluster.install_crds(_CRDS), end="")


def uninstall(*, force: bool) -> None:
    """Removes the CRDs; refuses while objects of ours exist, unless forced.

    Without an operator nobody removes our finalizers, and the CRDs would hang in deletion for ever:
    ``force`` strips them first. Other people's finalizers stay.
    """
    cluster = _meant()
    cluster.announce()
    served = cluster.kubectl("api-resources", "--api-group=prism.io", "--output=name").split()
    kinds = [r for r in served if r.partition(".")[0] in _RESOURCES]
    objects = [
        (kind, item["metadata"])
        for kind in kinds
        for item in cluster.get(kind, "--all-namespaces")["items"]
    ]
    if objects and not force:
        listed = "\n".join(f"  {k.partition('.')[0]} {_where(m)}" for k, m in objects[:10])
        more = f"\n  … and {len(objects) - 10} more" if len(objects) > 10 else ""
        raise UsageError(
            f"{len(objects)} Prism resources exist and would be deleted with the CRDs:\n"
            f"{listed}{more}\nDelete them first, or delete them with everything they made by "
            "make uninstall FORCE=1"
        )
    if not kinds:
        print("No CRDs of ours are installed.")
        return
    for kind, meta in objects:
        _strip_finalizers(cluster, kind, meta)
    print(cluster.kubectl("delete", f"--filename={_CRDS}", "--ignore-not-found"), end="")


def deploy(image: str) -> None:
    """Installs all of ``config/default``, its manager running ``image``."""
    cluster = _meant()
    cluster.announce()
    objects = _configured(cluster)
    for obj in objects:
        if obj["kind"] == "Deployment":
            (manager,) = obj["spec"]["template"]["spec"]["containers"]
            manager["image"] = image
    # Forced: what somebody changed by `kubectl set` or `edit` is as the files say again.
    apply = ("apply", "--server-side", "--force-conflicts", "--filename=-")
    print(cluster.kubectl(*apply, stdin=_listed(objects)), end="")


def undeploy() -> None:
    """Removes what ``deploy`` installs, less the CRDs and the Namespace. Idempotent."""
    cluster = _meant()
    cluster.announce()
    objects = [obj for obj in _configured(cluster) if obj["kind"] not in _LEFT]
    printed = cluster.kubectl(
        "delete", "--ignore-not-found", "--filename=-", stdin=_listed(objects)
    )
    print(printed or "No operator is installed.\n", end="")


def check() -> None:
    """Prints which cluster is meant, when it is a local one; refuses when it is not.

    Docker Desktop's becomes kubectl's current context when no local cluster is.
    """
    cluster = _meant()
    if cluster.is_local:
        cluster.announce()
        return
    contexts = cluster.kubectl("config", "get-contexts", "--output=name").split()
    if _LOCAL_CONTEXT not in contexts:
        raise UsageError(
            "kubectl's current context is no local cluster; start one (make cluster-up, "
            f"make kind-create, or Docker Desktop's Kubernetes, context {_LOCAL_CONTEXT})"
        )
    print(cluster.kubectl("config", "use-context", _LOCAL_CONTEXT), end="")
    cluster.announce()


def execute(command: list[str]) -> None:
    """Becomes ``command``, with KUBECONFIG set and a kubectl on PATH; prints the server first."""
    cluster = _meant()
    cluster.announce()
    environment = cluster.environment()
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise UsageError(f"{command[0]}: no such program") from None


class _MeantCluster(Cluster):
    """The cluster kubectl would use, or the local one; ``why`` says which rule chose it."""

    def __init__(self, kubectl: str, variables: Mapping[str, str], why: str) -> None:
        super().__init__(Path(variables.get("KUBECONFIG", "")), [kubectl])
        self._variables = variables
        self._why = why

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        return {**os.environ, **self._variables}

    @property
    def is_local(self) -> bool:
        """Whether losing all that is on it would cost nobody anything."""
        context = self.kubectl("config", "current-context", check=False).strip()
        return context in (_LOCAL_CONTEXT, "prism-local") or context.startswith("kind-")

    def announce(self) -> None:
        """Prints the server; UsageError when there is none to speak of."""
        try:
            server = self.server
        except KubectlError:
            server = ""
        if not server:
            named = os.environ.get("KUBECONFIG")
            where = f"KUBECONFIG={named} names none" if named else "~/.kube/config names none"
            raise UsageError(
                f"no cluster: {where}, and no local cluster is meant; start one by "
                "make cluster-up, with KUBECONFIG unset"
            )
        print(f"Cluster: {server} ({self._why})", flush=True)


def _meant() -> _MeantCluster:
    kubectl = shutil.which("kubectl")
    local = None if os.environ.get("KUBECONFIG") else _running()
    if local:
        variables = {**local.environment(), "PATH": os.environ.get("PATH", "")}
        if not kubectl:
            variables["PATH"] += f":{_DIRECTORY / 'bin'}"
            kubectl = str(_DIRECTORY / "bin" / "kubectl")
        return _MeantCluster(kubectl, variables, "make cluster-up")
    if not kubectl:
        raise UsageError("no kubectl on PATH, and no local cluster runs (make cluster-up)")
    return _MeantCluster(kubectl, {}, "KUBECONFIG" if os.environ.get("KUBECONFIG") else "~/.kube")


def _configured(cluster: Cluster) -> list[Json]:
    """The objects of ``config/default``."""
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", str(_CONFIG))))


def _listed(objects: list[Json]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _running() -> LocalCluster | None:
    cluster = LocalCluster.attach(_DIRECTORY)
    return cluster if cluster and cluster.is_running else None


def _strip_finalizers(cluster: Cluster, kind: str, meta: dict[str, object]) -> None:
    finalizers = meta.get("finalizers")
    if not isinstance(finalizers, list):
        return
    kept = [f for f in finalizers if not str(f).startswith(_OUR_FINALIZERS)]
    if kept == finalizers:
        return
    patch = [
        # Guarded: somebody may have changed the list since we read it.
        {"op": "test", "path": "/metadata/finalizers", "value": finalizers},
        {"op": "replace", "path": "/metadata/finalizers", "value": kept},
    ]
    place = [f"--namespace={meta['namespace']}"]
    cluster.kubectl(
        *("patch", kind, str(meta["name"]), *place, "--type=json", f"--patch={json.dumps(patch)}")
    )
    print(f"Stripped our finalizers from {kind.partition('.')[0]} {_where(meta)}")


def _where(meta: Mapping[str, object]) -> str:
    return f"{meta['namespace']}/{meta['name']}"


def main() -> int:
    """Runs one subcommand; 2 with a message when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m e2e.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "kubeconfig", "install", "undeploy", "check"):
        commands.add_parser(name)
    commands.add_parser("uninstall").add_argument("--force", action="store_true")
    commands.add_parser("deploy").add_argument("image")
    commands.add_parser("exec").add_argument("arguments", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    try:
        match args.command:
            case "up":
                up()
            case "down":
                down()
            case "kubeconfig":
                kubeconfig()
            case "install":
                install()
            case "uninstall":
                uninstall(force=args.force)
            case "deploy":
                deploy(args.image)
            case "undeploy":
                undeploy()
            case "check":
                check()
            case "exec":
                execute(args.arguments)
    except (UsageError, BuildError, ClusterError, KubectlError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
