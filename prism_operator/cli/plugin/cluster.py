"""The cluster that explain, status and report read, and the Prism objects that flags name in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.connection import Connection, connect
from prism_operator.adapters.gathering import Gatherer
from prism_operator.api.crd import SHORT_NAMES
from prism_operator.api.meta import PRISM_RESOURCES, Json, Ref, Resource
from prism_operator.cli.errors import UsageError
from prism_operator.diagnosis.facts import Seen
from prism_operator.ports import Failed, Reason

OperatorNamespaceFlag: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--operator-namespace",
        metavar="NAME",
        help="Where the operator runs. Default: wherever it is found, else prism-system.",
    ),
]
AllNamespacesFlag: TypeAlias = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")
]


@dataclass(frozen=True, slots=True)
class OpenCluster:
    """A connection, and the namespace that is meant when none is given."""

    connection: Connection
    gatherer: Gatherer
    namespace: str


@contextmanager
def open_cluster(
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    operator_namespace: str | None = None,
) -> Iterator[OpenCluster]:
    """Connects as kubectl does. Raises ConnectError when the server does not answer."""
    with closing(connect(kubeconfig, context)) as connection:
        connection.check_server()
        gatherer = Gatherer(connection, SystemClock(), operator_namespace)
        yield OpenCluster(connection, gatherer, namespace or connection.namespace or "default")


def find_object(gatherer: Gatherer, target: str, namespace: str) -> Json:
    """The Prism object that ``KIND/NAME`` or an unambiguous ``NAME`` means.

    Raises ``UsageError`` when there is none, or several.
    """
    kind, separator, name = target.rpartition("/")
    if not name or (separator and not kind):
        raise UsageError(f'"{target}" is not KIND/NAME, like prismstack/shop')
    resources = (_resource(kind),) if separator else PRISM_RESOURCES
    found: list[Json] = []
    for resource in resources:
        outcome = gatherer.find(Ref(resource, namespace, name))
        if not isinstance(outcome, Failed):
            found.append(outcome)
        elif outcome.reason is not Reason.NOT_FOUND:
            raise UsageError(_why(outcome, resource, namespace))
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(f"{o['kind'].lower()}/{name}" for o in found)
        raise UsageError(f'"{name}" in namespace {namespace} may be any of {choices}: name one')
    what = resources[0].kind if separator else "Prism object"
    raise UsageError(f'no {what} "{name}" in namespace {namespace}; see kubectl get prism -A')


def require_read(seen: Seen, resource: Resource) -> None:
    """Raises ``UsageError`` when objects of a kind could not be read: then nothing can be told."""
    if resource.kind in seen.unserved:
        raise UsageError(_not_installed(resource))
    for unread in seen.unread:
        if unread.kind == resource.kind:
            raise UsageError(f"{unread}; name a namespace that you may read with -n")


def _resource(text: str) -> Resource:
    wanted = text.lower().removesuffix(".prism.io")
    for resource in PRISM_RESOURCES:
        names = {resource.plural, resource.kind.lower(), *SHORT_NAMES[resource.kind]}
        if wanted in names:
            return resource
    kinds = ", ".join(resource.kind.lower() for resource in PRISM_RESOURCES)
    raise UsageError(f'"{text}" is not a Prism kind; expected one of {kinds}')


def _why(failed: Failed, resource: Resource, namespace: str) -> str:
    match failed.reason:
        case Reason.NO_KIND:
            return _not_installed(resource)
        case Reason.FORBIDDEN:
            return f"no permission to get {resource.plural} in namespace {namespace}"
    return f"cannot get {resource.plural} in namespace {namespace}: {failed.message}"


def _not_installed(resource: Resource) -> str:
    return f"the CRDs are not installed: the server does not serve {resource.plural}"
