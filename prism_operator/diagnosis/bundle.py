"""A support bundle: what was read, as files, and the same bytes for the same facts."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import yaml

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.diagnosis.ages import age_text
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.facts import (
    Facts,
    Seen,
    condition_of,
    event_count,
    event_time,
    key_of,
)
from prism_operator.diagnosis.text import diagnosis_text, headline

Files = dict[str, str]
_PRISM: Final = ("PrismStack", "PrismPattern", "PrismBackend", "PrismNamespace")
_NODE_LABELS: Final = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "cloud.google.com/gke-spot",
    "kubernetes.azure.com/scalesetpriority",
    "node-lifecycle",
)


def bundle_files(
    seen: Seen, *, versions: Json, crds: Sequence[Json], logs: Mapping[str, str]
) -> Files:
    """All files of the bundle, by their paths, the index among them.

    ``logs`` are texts by path, without secrets.
    """
    files: Files = {"versions.yaml": _yaml(versions), "crds.yaml": _yaml([_crd(c) for c in crds])}
    for obj in seen.by_key.values():
        kind, namespace, name = key_of(obj)
        if kind == "Node":
            continue
        files[f"objects/{namespace}/{kind}/{name}.yaml"] = _yaml(_without_managers(obj))
    files["nodes.yaml"] = _yaml([_node(n) for n in seen.by_kind.get("Node", ())])
    files["events.txt"] = _events(seen)
    files |= _explanations(seen)
    files |= logs
    if seen.unread:
        files["not-read.txt"] = "".join(f"{unread}\n" for unread in sorted(seen.unread))
    files["README.md"] = _index(files, seen)
    return files


def as_archive(files: Files, *, directory: str, modified: datetime) -> bytes:
    """The files as .tar.gz, in order of their paths, nobody's and of one time."""
    stamp = int(modified.timestamp())
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=stamp) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(files):
            content = files[path].encode()
            member = tarfile.TarInfo(f"{directory}/{path}")
            member.size, member.mtime, member.mode = len(content), stamp, 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _explanations(seen: Seen) -> Files:
    """What explain says of all that is not Ready, and one line about each object."""
    files: Files = {}
    lines = []
    for kind in _PRISM:
        for obj in seen.by_kind.get(kind, ()):
            diagnosis = diagnose(Facts(obj, seen))
            lines.append(headline(diagnosis))
            if not diagnosis.is_ready:
                path = f"explain/{diagnosis.namespace}/{kind}/{diagnosis.name}.txt"
                files[path] = diagnosis_text(diagnosis)
    files["explain.txt"] = "".join(f"{line}\n" for line in lines)
    return files


def _crd(crd: ReadOnlyJson) -> Json:
    spec, names = crd["spec"], crd["spec"]["names"]
    established = condition_of(crd, "Established") or {}
    return {
        "name": crd["metadata"]["name"],
        "versions": [
            {key: v.get(key) for key in ("name", "served", "storage")} for v in spec["versions"]
        ],
        "shortNames": names.get("shortNames", []),
        "established": established.get("status", "Unknown"),
        "storedVersions": (crd.get("status") or {}).get("storedVersions", []),
    }


def _node(node: ReadOnlyJson) -> Json:
    status, labels = node.get("status") or {}, node["metadata"].get("labels") or {}
    return {
        "name": node["metadata"]["name"],
        "labels": {key: labels[key] for key in _NODE_LABELS if key in labels},
        "unschedulable": bool(node["spec"].get("unschedulable")),
        "taints": [
            f"{t['key']}={t.get('value', '')}:{t['effect']}"
            for t in node["spec"].get("taints") or ()
        ],
        "allocatable": status.get("allocatable") or {},
        "conditions": [
            {key: c.get(key) for key in ("type", "status", "reason", "lastTransitionTime")}
            for c in status.get("conditions") or ()
        ],
        "kubeletVersion": (status.get("nodeInfo") or {}).get("kubeletVersion", ""),
    }


def _events(seen: Seen) -> str:
    lines = []
    for event in seen.events:
        about, when = event["involvedObject"], event_time(event)
        where = f"{about.get('namespace', '')}/{about.get('kind', '')}/{about.get('name', '')}"
        stamp = when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else "-"
        text = " ".join(str(event.get("message", "")).split())
        lines.append(
            f"{stamp} {event.get('type', '')} {event.get('reason', '')} ×{event_count(event)} "
            f"{where}: {text} ({age_text(when, seen.now)} before)"
        )
    return "".join(f"{line}\n" for line in sorted(lines))


def _without_managers(obj: ReadOnlyJson) -> Json:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _index(files: Files, seen: Seen) -> str:
    listed = "\n".join(f"- {path} ({len(files[path].encode())} bytes)" for path in sorted(files))
    collected = seen.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"""\
# Prism support bundle

Collected at {collected}. Begin with explain.txt, one line about each object.

## What was left out

- Secrets and ConfigMaps were not read at all; of a Secret only the name appears where an object
  refers to it.
- Withheld, whatever they hold: values of environment variables, container arguments and commands,
  annotations, `config`, `backendConfig`, metadata of triggers, tags, HTTP headers of probes.
- Names, labels, images and references stay.
- Of URLs, scheme, host and port are left.
- In messages, Events and logs: user information of URLs, what follows the name of a credential,
  tokens and keys of known forms, and withheld values that look like a secret. A secret that looks
  like an ordinary word and was logged without its name cannot be told from text: **read the logs
  before you hand them on.**
- Of nodes: only the labels, taints, conditions and sizes in nodes.yaml; no addresses.

## What is in

{listed}
"""


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=100))
