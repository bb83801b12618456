"""``kubectl prism report``: a support bundle without secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from prism_operator import __version__
from prism_operator.adapters.gathering import Gatherer
from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    POD,
    PRISM_RESOURCES,
    Json,
    Ref,
    ref_of,
)
from prism_operator.cli.errors import UsageError
from prism_operator.cli.plugin.cluster import (
    AllNamespacesFlag,
    OpenCluster,
    OperatorNamespaceFlag,
    open_cluster,
)
from prism_operator.cli.plugin.console import OUT
from prism_operator.cli.plugin.flags import ContextFlag, KubeconfigFlag, NamespaceFlag
from prism_operator.diagnosis.bundle import as_archive, bundle_files
from prism_operator.diagnosis.facts import OPERATOR_LABEL, Seen
from prism_operator.diagnosis.redaction import Redactor
from prism_operator.ports import Failed

LOG_LINES_MAX: Final = 2000


def report(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.tar.gz",
            help="Where to write it. Default: prism-report-TIME.tar.gz here.",
        ),
    ] = None,
    all_namespaces: AllNamespacesFlag = False,
    namespace: NamespaceFlag = None,
    operator_namespace: OperatorNamespaceFlag = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
) -> None:
    """Write a support bundle: objects, Events, explanations and the operator's log; no secrets."""
    with open_cluster(kubeconfig, context, namespace, operator_namespace) as cluster:
        files, seen = collect_files(cluster, "" if all_namespaces else cluster.namespace)
    name = seen.now.strftime("prism-report-%Y%m%dT%H%M%SZ")
    path = output or Path(f"{name}.tar.gz")
    _write(path, as_archive(files, directory=name, modified=seen.now))
    OUT.print(f"{path}: {len(files)} files, README.md says what was left out")
    for unread in seen.unread:
        OUT.print(f"not read: {unread}")


def collect_files(cluster: OpenCluster, namespace: str) -> tuple[dict[str, str], Seen]:
    """The bundle's files for a namespace, or (``""``) for all, and what they were made from."""
    seen, redactor = cluster.gatherer.everything(namespace)
    capabilities = cluster.connection.capabilities()
    versions: Json = {
        "kubectl-prism": __version__,
        "server": capabilities.version,
        "served": sorted(
            f"{r.plural}.{r.group or 'core'}/{r.version}" for r in capabilities.served
        ),
    }
    crds = [redactor.obj(crd) for crd in _crds(cluster.gatherer)]
    logs = dict(_logs(cluster, seen, redactor))
    return bundle_files(seen, versions=versions, crds=crds, logs=logs), seen


def _crds(gatherer: Gatherer) -> Iterator[Json]:
    for resource in PRISM_RESOURCES:
        name = f"{resource.plural}.{resource.group}"
        found = gatherer.find(Ref(CUSTOM_RESOURCE_DEFINITION, "", name))
        if not isinstance(found, Failed):
            yield found


def _logs(cluster: OpenCluster, seen: Seen, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """What the operator's pods said, now and before their last restart."""
    key, value = OPERATOR_LABEL
    for pod in seen.by_kind.get(POD.kind, ()):
        if (pod["metadata"].get("labels") or {}).get(key) != value:
            continue
        name = pod["metadata"]["name"]
        for container in pod["spec"]["containers"]:
            for previous in (False, True):
                text = cluster.connection.logs(
                    ref_of(pod), container["name"], lines_max=LOG_LINES_MAX, previous=previous
                )
                suffix = "-previous" if previous else ""
                path = f"operator/logs/{name}-{container['name']}{suffix}.log"
                if isinstance(text, str):
                    yield path, redactor.text(text)
                elif not previous:
                    yield path, f"not read: {redactor.text(text.message)}\n"


def _write(path: Path, content: bytes) -> None:
    """Readable by nobody else: what looks like no secret may still be none of others' business."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error
