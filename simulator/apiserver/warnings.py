"""What the API server warns about when it accepts an object.

From ``pkg/api/pod/warnings.go`` and the strategies of Kubernetes 1.37, as far as manifests meet it.
"""

from __future__ import annotations

from collections.abc import Iterator

from prism_operator.api.meta import DEPLOYMENT, POD, REPLICA_SET, SERVICE, Json, Resource
from simulator.apiserver import names


def warnings(resource: Resource, new: Json, old: Json | None) -> tuple[str, ...]:
    """The warnings about a built-in object, in the server's order."""
    found: list[str] = []
    if resource in (DEPLOYMENT, REPLICA_SET):
        if old is None:
            found += _name_warnings(new)
        elif new["metadata"].get("generation") == old["metadata"].get("generation"):
            return ()
        found += _pod_warnings(new["spec"]["template"]["spec"], "spec.template.spec")
    elif resource == POD and old is None:
        found += _name_warnings(new)
        found += _pod_warnings(new["spec"], "spec")
    elif resource == SERVICE:
        found += _service_warnings(new["spec"])
    return tuple(found)


def _service_warnings(spec: Json) -> Iterator[str]:
    headless, kind = spec.get("clusterIP") == "None", spec["type"]
    if headless:
        for field in ("loadBalancerIP", "externalIPs"):
            if spec.get(field):
                yield f"spec.{field} is ignored for headless services"
        if spec["sessionAffinity"] != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    if spec.get("externalIPs"):
        if not headless and kind != "ExternalName":
            yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
        if kind == "ExternalName":
            yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'


def _name_warnings(obj: Json) -> Iterator[str]:
    texts = names.dns_label(obj["metadata"].get("name", ""))
    if texts:
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in "
            f"surprising behavior; a DNS label is recommended: [{' '.join(texts)}]"
        )


def _pod_warnings(spec: Json, path: str) -> Iterator[str]:
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            yield from _repeated_variables(container, f"{path}.{kind}[{index}]")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        field = f"{path}.terminationGracePeriodSeconds"
        yield f"{field}: must be >= 0; negative values are invalid and will be treated as 1"


def _repeated_variables(container: Json, path: str) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, variable in enumerate(container.get("env") or ()):
        name = variable["name"]
        if name in first:
            yield (
                f'{path}.env[{index}]: hides previous definition of "{name}", which may be dropped '
                "when using apply"
            )
        first.setdefault(name, index)
