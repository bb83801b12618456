"""Answers the commands of kind that pytest-kind calls, with a control plane that needs no Docker.

    e2e/kindshim create cluster --name=prism-e2e --kubeconfig=FILE [--config=FILE]

The clusters stand below ``.pytest-kind`` in the working directory, where pytest-kind keeps its own
files. Their pods are scheduled and become Ready, but run nothing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import yaml

from e2e.build import BuildError
from e2e.cluster import THREE_ZONES, ClusterError, Json, LocalCluster, a_node

_CLUSTERS = Path(".pytest-kind")
_DEFAULT_NAME = "kind"


def directory_of(name: str) -> Path:
    """Where the cluster of that name has its files."""
    return _CLUSTERS.absolute() / name / "cluster"


def get_clusters() -> None:
    """Prints the names of the clusters that run, as kind does."""
    names = sorted(path.parent.name for path in _CLUSTERS.glob("*/cluster"))
    running = [name for name in names if _running(name)]
    if not running:
        print("No kind clusters found.", file=sys.stderr)
    for name in running:
        print(name)


def create_cluster(name: str, kubeconfig: Path, config: Path | None) -> None:
    """Starts a cluster with the nodes that kind's configuration names, and writes a kubeconfig."""
    if _running(name):
        raise ClusterError(f'node(s) already exist for a cluster with the name "{name}"')
    nodes = _nodes(name, yaml.safe_load(config.read_text())) if config else THREE_ZONES
    cluster = LocalCluster.start(directory_of(name), nodes=nodes, outlives=True)
    cluster.link_kubectl()
    shutil.copyfile(cluster.kubeconfig, kubeconfig)


def get_kubeconfig(name: str) -> None:
    """Prints the kubeconfig of a cluster."""
    cluster = _running(name)
    if not cluster:
        raise ClusterError(f'could not locate any control plane nodes for cluster named "{name}"')
    print(cluster.kubeconfig.read_text(), end="")


def load_image(name: str, images: list[str]) -> None:
    """Says that nothing needs an image where no container runs."""
    if not _running(name):
        raise ClusterError(f'no nodes found for cluster "{name}"')
    for image in images:
        print(f'Image "{image}" is not needed: no container runs on cluster "{name}"')


def delete_cluster(name: str) -> None:
    """Ends a cluster and removes its files; none is no error, as with kind."""
    print(f'Deleting cluster "{name}" ...', file=sys.stderr)
    if cluster := LocalCluster.attach(directory_of(name)):
        cluster.stop()
    shutil.rmtree(directory_of(name), ignore_errors=True)


def _running(name: str) -> LocalCluster | None:
    cluster = LocalCluster.attach(directory_of(name))
    return cluster if cluster and cluster.is_running else None


def _nodes(name: str, config: Json) -> list[Json]:
    """The nodes of a kind configuration, named as kind names its containers."""
    nodes: list[Json] = []
    counts = {"control-plane": 0, "worker": 0}
    alone = len(config["nodes"]) == 1
    for node in config["nodes"]:
        role = node["role"]
        counts[role] += 1
        number = str(counts[role]) if counts[role] > 1 else ""
        tainted = role == "control-plane" and not alone
        control_plane = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
        nodes.append(
            a_node(
                f"{name}-{role}{number}",
                labels=node.get("labels"),
                taints=[control_plane] if tainted else [],
            )
        )
    return nodes


def main() -> int:
    """Runs one command; 1 with a message when it fails, as kind does."""
    parser = argparse.ArgumentParser(prog="kindshim", description=__doc__)
    parser.add_argument("verb", choices=["get", "create", "load", "delete"])
    parser.add_argument("noun", choices=["clusters", "kubeconfig", "cluster", "docker-image"])
    parser.add_argument("images", nargs="*")
    parser.add_argument("--name", default=_DEFAULT_NAME)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--image", help="of a node; there is none")
    # Intermixed, for "load docker-image --name NAME IMAGE".
    args = parser.parse_intermixed_args()
    try:
        match args.verb, args.noun:
            case "get", "clusters":
                get_clusters()
            case "get", "kubeconfig":
                get_kubeconfig(args.name)
            case "create", "cluster" if args.kubeconfig:
                create_cluster(args.name, args.kubeconfig, args.config)
            case "create", "cluster":
                parser.error("--kubeconfig is needed: your own is left alone")
            case "load", "docker-image":
                load_image(args.name, args.images)
            case "delete", "cluster":
                delete_cluster(args.name)
            case _:
                parser.error(f"no such command: {args.verb} {args.noun}")
    except (BuildError, ClusterError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
