"""What objects ask of a cluster that the simulator has no model of: refused, never ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from prism_operator.documents import Location
from simulator.scenario.values import shown

VOLUMES = ("configMap", "secret", "emptyDir", "projected", "downwardAPI")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_OPAQUE = ("ConfigMap", "Secret", "CustomResourceDefinition")  # whatever they hold runs no pod
_WHY = {
    "runtimeClassName": "runtime classes are not modelled",
    "resourceClaims": "dynamic resource allocation is not modelled",
    "volumeClaimTemplates": "persistent volumes are not modelled",
    "ephemeralContainers": "ephemeral containers are not modelled",
    "initContainers": "init containers and sidecars take no time and are not modelled",
    "schedulingGates": "scheduling gates are not modelled",
}


def unmodelled(obj: Any, offered: Collection[str]) -> Iterator[tuple[Location, str]]:
    """What of an object no scenario can play, with its place in it.

    ``offered`` are the resources that some pool's nodes have.
    """
    if isinstance(obj, dict) and obj.get("kind") not in _OPAQUE:
        yield from _below(obj, (), offered)


def unmodelled_in_patch(patch: Any, offered: Collection[str]) -> Iterator[tuple[Location, str]]:
    """The same of a merge patch, or a list of JSON patch operations."""
    if not isinstance(patch, list):
        yield from unmodelled(patch, offered)
        return
    for i, operation in enumerate(patch):
        value, path = operation.get("value"), str(operation.get("path", ""))
        for step in reversed(path.strip("/").split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            value = [value] if step == "-" or step.isdigit() else {name: value}
        for _, message in unmodelled(value, offered):
            yield (i, "value"), message


def _below(value: Any, where: Location, offered: Collection[str]) -> Iterator[tuple[Location, str]]:
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _below(item, (*where, i), offered)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        here = (*where, key)
        if key == "volumes" and isinstance(item, list):
            yield from _volumes(item, here)
        elif key in _WHY and item:
            yield here, f"{_named(here)}: {_WHY[key]}"
        elif key == "schedulerName" and item not in (None, "", "default-scheduler"):
            yield here, f"{_named(here)}: scheduler {shown(item)} is not modelled"
        elif key == "resources" and isinstance(item, dict):
            yield from _resources(item, here, offered)
        else:
            yield from _below(item, here, offered)


def _volumes(volumes: list[Any], where: Location) -> Iterator[tuple[Location, str]]:
    for i, volume in enumerate(volumes):
        for source in sorted(set(volume) - {"name", *VOLUMES} if isinstance(volume, dict) else ()):
            here, known = (*where, i, source), ", ".join(VOLUMES)
            yield here, f"{_named(here)}: this volume is not modelled; there are {known}"


def _resources(
    resources: dict[str, Any], where: Location, offered: Collection[str]
) -> Iterator[tuple[Location, str]]:
    if resources.get("claims"):
        here = (*where, "claims")
        yield here, f"{_named(here)}: {_WHY['resourceClaims']}"
    for asked in ("requests", "limits"):
        for name in resources.get(asked) or ():
            if name not in _RESOURCES and name not in offered:
                here = (*where, asked, name)
                yield (
                    here,
                    f"{_named(here)}: device plugins and other extended resources are not "
                    "modelled, and no pool has it in its allocatable",
                )


def _named(where: Location) -> str:
    path = ""
    for step in where:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path
