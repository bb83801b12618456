"""What a scenario needs of a running cluster. Secrets are not read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from prism_operator.adapters.connection import ConnectError, connect
from prism_operator.api.meta import (
    NODE,
    PRISM_RESOURCES,
    SCALED_OBJECT,
    SECRET,
    TRIGGER_AUTHENTICATION,
    Json,
    Resource,
)
from prism_operator.ports import Failed, Listed, Reader, Reason
from simulator.importing.command import Wanted, import_objects
from simulator.importing.selection import KEPT
from simulator.inputs import BadInputError

READ = (NODE, *(resource for resource in KEPT if resource != SECRET))
# Of these a cluster need not have the CRD.
_OPTIONAL = (*PRISM_RESOURCES, SCALED_OBJECT, TRIGGER_AUTHENTICATION)


@dataclass(frozen=True, slots=True)
class Read:
    """The objects, the Secrets that they refer to, and whether KEDA's kinds are served."""

    objects: tuple[Json, ...]
    secrets: tuple[str, ...]
    keda: bool


def import_live(kubeconfig: str | None, context: str | None, wanted: Wanted) -> str:
    """Makes a scenario of a running cluster, and tells of it.

    Raises:
        BadInputError: With what is wrong or missing; of permissions, all that are.
    """
    try:
        with closing(connect(kubeconfig, context)) as connection:
            connection.check_server()
            read, name = read_cluster(connection.reader()), connection.context
    except ConnectError as error:
        raise BadInputError([str(error)]) from None
    secrets = ", ".join(read.secrets)
    told = f"Secrets are not read; these are referred to, and will not be there: {secrets}"
    notes = [told] if secrets else []
    return import_objects(read.objects, f"context {name}", wanted, keda=read.keda, notes=notes)


def read_cluster(reader: Reader) -> Read:
    """All that is imported, of all namespaces.

    Raises:
        BadInputError: Something cannot be read.
    """
    objects: list[Json] = []
    forbidden: list[Resource] = []
    problems: list[str] = []
    keda = True
    for resource in READ:
        match reader.list(resource):
            case Listed(items=items):
                head = {"apiVersion": resource.api_version, "kind": resource.kind}
                objects += [{**head, **item} for item in items]
            case Failed(reason=Reason.FORBIDDEN):
                forbidden.append(resource)
            case Failed(reason=Reason.NO_KIND) if resource in _OPTIONAL:
                keda = keda and resource != SCALED_OBJECT
            case Failed(message=message):
                problems.append(f"{resource.plural}: {message}")
    if forbidden:
        problems.append(_missing_rights(forbidden))
    if problems:
        raise BadInputError(problems)
    prism = [obj for obj in objects if obj["apiVersion"] == PRISM_RESOURCES[0].api_version]
    secrets = sorted({name for obj in prism for name in _secrets(obj, _home(obj))})
    return Read(tuple(objects), tuple(secrets), keda)


def _missing_rights(resources: Sequence[Resource]) -> str:
    names = ",".join(f"{r.plural}.{r.group}" if r.group else r.plural for r in resources)
    return (
        f"not allowed to list {', '.join(r.plural for r in resources)} in all namespaces. An "
        f"administrator can allow it:\n"
        f"  kubectl create clusterrole prism-sim-import --verb=list --resource={names}\n"
        f"  kubectl create clusterrolebinding prism-sim-import --clusterrole=prism-sim-import "
        f"--user=YOU\nor have kubectl get print the objects, for --from"
    )


def _home(obj: Json) -> str:
    return str(obj["metadata"].get("namespace") or "default")


def _secrets(value: object, namespace: str, key: str = "") -> set[str]:
    """``namespace/name`` of the Secrets that something refers to."""
    if isinstance(value, list):
        return set().union(*(_secrets(item, namespace, key) for item in value))
    if not isinstance(value, dict):
        return set()
    if key.endswith(("secretRef", "secretKeyRef", "SecretRef")) and value.get("name"):
        return {f"{value.get('namespace') or namespace}/{value['name']}"}
    return set().union(*(_secrets(below, namespace, str(k)) for k, below in value.items()))
