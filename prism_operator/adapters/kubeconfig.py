"""Which API server, and as whom: kubectl's rules for finding and merging kubeconfig files.

The rules are those of https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/:
the file that was named; else the files of ``KUBECONFIG``, where the first to define something
wins; else ``~/.kube/config``; else the service account of the pod we run in.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from prism_operator.adapters.errors import KubeconfigError
from prism_operator.api.meta import Json

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "in-cluster"
# Sections, and the fields in them that are paths relative to the file they stand in.
_SECTIONS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}
_FILE_FIELDS = {
    "certificate-authority": "certificate authority",
    "client-certificate": "client certificate",
    "client-key": "client key",
}


@dataclass(frozen=True)
class Target:
    """One server and one user, resolved: every path is absolute, every ``-data`` field a file.

    ``directory`` holds those files, readable by us alone; whoever made the target removes it.
    """

    context: str
    cluster: Json
    user: Json
    namespace: str
    directory: Path | None = None

    @property
    def server(self) -> str:
        """The URL of the API server, without a slash at its end."""
        return str(self.cluster["server"]).rstrip("/")


def find_target(
    kubeconfig: str | None,
    context: str | None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Target:
    """The server and user to use. Raises ``KubeconfigError``."""
    paths = [Path(kubeconfig).expanduser()] if kubeconfig else _default_paths(environ)
    if kubeconfig and not paths[0].exists():
        raise KubeconfigError(f"kubeconfig {kubeconfig} does not exist")
    existing = [path for path in paths if path.exists()]
    if existing:
        return _select(_merge([_load(path) for path in existing]), existing, context)
    if context is None and (service_account / "token").exists():
        return _in_cluster(environ, service_account)
    names = ", ".join(map(str, paths))
    raise KubeconfigError(
        f"no kubeconfig: {names} does not exist, and this is no pod with a service account; "
        "name one with --kubeconfig or KUBECONFIG"
    )


def _default_paths(environ: Mapping[str, str]) -> list[Path]:
    listed = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    home = Path(environ.get("HOME", "~")).expanduser()
    return [Path(part) for part in dict.fromkeys(listed)] or [home / ".kube" / "config"]


def _load(path: Path) -> Json:
    """One file with its relative paths made absolute and its sections as mappings by name."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KubeconfigError(f"kubeconfig {path}: is not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        # Only the place: the text of a YAML error quotes the line, which may hold a token.
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise KubeconfigError(f"kubeconfig {path}: is not YAML{where}") from None
    except yaml.YAMLError:
        raise KubeconfigError(f"kubeconfig {path}: is not YAML") from None
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {path}: expected a mapping, found something else")
    merged: Json = {"current-context": document.get("current-context") or ""}
    for section, (inner, path_fields) in _SECTIONS.items():
        entries = document.get(section) or []
        if not isinstance(entries, list):
            raise KubeconfigError(f"kubeconfig {path}: {section}: expected a list")
        merged[section] = {}
        for index, entry in enumerate(entries):
            value = entry.get(inner) or {} if isinstance(entry, dict) else None
            if not isinstance(value, dict) or not isinstance(entry.get("name"), str):
                raise KubeconfigError(
                    f"kubeconfig {path}: {section}[{index}]: expected a name and a {inner}"
                )
            value = _with_absolute_paths(value, path_fields, path.parent.absolute())
            merged[section].setdefault(entry["name"], value)
    return merged


def _with_absolute_paths(value: Json, fields: tuple[str, ...], folder: Path) -> Json:
    """A copy. An exec plugin named with a slash is relative too; others are looked up in PATH."""
    value = dict(value)
    for field in fields:
        if value.get(field):
            value[field] = str(folder / str(value[field]))
    plugin = value.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):
        value["exec"] = {**plugin, "command": str(folder / str(plugin["command"]))}
    return value


def _merge(documents: list[Json]) -> Json:
    merged: Json = {"current-context": "", **{section: {} for section in _SECTIONS}}
    for document in documents:
        merged["current-context"] = merged["current-context"] or document["current-context"]
        for section in _SECTIONS:
            merged[section] = document[section] | merged[section]
    return merged


def _select(document: Json, paths: list[Path], context: str | None) -> Target:
    files = f"kubeconfig {', '.join(map(str, paths))}"
    name = context or document["current-context"]
    if not name:
        raise KubeconfigError(
            f"{files}: no current context; choose one of {_names(document['contexts'])} with "
            "--context or `kubectl config use-context`"
        )

    def look_up(section: str, key: str, asked_by: str) -> Json:
        if key not in document[section]:
            raise KubeconfigError(
                f'{files}: {asked_by} "{key}" does not exist; '
                f"{section} are {_names(document[section])}"
            )
        found: Json = document[section][key]
        return found

    chosen = look_up("contexts", name, "context")
    cluster = look_up("clusters", chosen.get("cluster", ""), f'context "{name}": cluster')
    user_name = chosen.get("user", "")
    user = look_up("users", user_name, f'context "{name}": user') if user_name else {}
    where = f'{files}: context "{name}"'
    _check_cluster(cluster, where)
    _check_user(user, where)
    return _write_inline_files(
        Target(name, cluster, user, chosen.get("namespace") or "default"), where
    )


def _names(entries: Mapping[str, Any]) -> str:
    return "[" + ", ".join(sorted(entries)) + "]"


def _check_cluster(cluster: Json, where: str) -> None:
    server = cluster.get("server")
    if not isinstance(server, str) or urlsplit(server).scheme not in ("http", "https"):
        raise KubeconfigError(f"{where}: server: expected an http or https URL, found {server!r}")
    has_authority = cluster.get("certificate-authority") or cluster.get(
        "certificate-authority-data"
    )
    if has_authority and cluster.get("insecure-skip-tls-verify"):
        raise KubeconfigError(
            f"{where}: certificate-authority and insecure-skip-tls-verify exclude each other"
        )


def _check_user(user: Json, where: str) -> None:
    """Refuses what we would otherwise ignore, and so act as somebody else than was asked for."""
    for field in ("token", "username", "password"):
        if not isinstance(user.get(field, ""), str):
            raise KubeconfigError(f"{where}: {field}: expected a string")
    if not isinstance(user.get("exec", {}), dict):
        raise KubeconfigError(f"{where}: exec: expected a mapping")
    if "auth-provider" in user:
        raise KubeconfigError(
            f"{where}: auth-provider is not supported (Kubernetes removed most); use an exec plugin"
        )
    impersonation = sorted(f for f in ("as", "as-uid", "as-groups", "as-user-extra") if user.get(f))
    if impersonation:
        raise KubeconfigError(f"{where}: impersonation ({impersonation[0]}) is not supported")
    has = {
        f: bool(user.get(f) or user.get(f"{f}-data")) for f in ("client-certificate", "client-key")
    }
    if has["client-certificate"] != has["client-key"]:
        raise KubeconfigError(f"{where}: client-certificate and client-key belong together")


def _write_inline_files(target: Target, where: str) -> Target:
    """Every ``-data`` field as a file in a folder of our own.

    pykube would write them itself: under a name that others can guess, readable for everybody.
    """
    directory: Path | None = None
    sections: dict[str, Json] = {"cluster": dict(target.cluster), "user": dict(target.user)}
    for values in sections.values():
        for field, what in _FILE_FIELDS.items():
            if (data := values.pop(f"{field}-data", None)) is not None:
                try:
                    content = base64.b64decode(data, validate=True)
                except (binascii.Error, TypeError, ValueError):
                    raise KubeconfigError(f"{where}: {field}-data: is not base64") from None
                directory = directory or Path(tempfile.mkdtemp(prefix="prism-operator-"))
                file = directory / field
                file.touch(mode=0o600)
                file.write_bytes(content)
                values[field] = str(file)
            elif field in values and not Path(values[field]).is_file():
                raise KubeconfigError(f"{where}: {what} {values[field]} does not exist")
    return Target(
        target.context, sections["cluster"], sections["user"], target.namespace, directory
    )


def _in_cluster(environ: Mapping[str, str], service_account: Path) -> Target:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise KubeconfigError(
            f"{service_account} exists, but KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is "
            "not set; name a kubeconfig with --kubeconfig"
        )
    namespace = service_account / "namespace"
    cluster = {
        "server": f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        "certificate-authority": str(service_account / "ca.crt"),
    }
    if not Path(cluster["certificate-authority"]).is_file():
        raise KubeconfigError(f"{service_account}: ca.crt does not exist")
    return Target(
        context=IN_CLUSTER,
        cluster=cluster,
        user={"tokenFile": str(service_account / "token")},
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
    )
