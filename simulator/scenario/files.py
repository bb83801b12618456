"""Reads scenario files and the manifests they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prism_operator.api.meta import PRISM_RESOURCES, Json
from prism_operator.api.validation import InvalidObject, parse
from prism_operator.documents import Document, Location, location_of
from simulator.inputs import BadInputError, load_documents
from simulator.scenario.model import Scenario
from simulator.scenario.values import BY_KIND, shown


@dataclass(frozen=True)
class Manifest:
    """One object of a manifest file, as it is to be applied."""

    obj: Json
    document: Document

    @property
    def place(self) -> str:
        """Where it stands, for complaints that come from the API server."""
        return str(self.document.complain((), "")).rstrip(": ")


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with the objects of its manifest files, by the path that names them."""

    path: Path
    scenario: Scenario
    manifests: Mapping[str, tuple[Manifest, ...]]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def load(path: Path) -> LoadedScenario:
    """Reads a scenario file and its manifests.

    Raises:
        BadInputError: With every problem found, each with its place in a file.
    """
    documents = load_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise BadInputError([f"{path}:1:1: expected one YAML mapping, a scenario"])
    document = documents[0]
    try:
        scenario = Scenario.model_validate(document.value)
    except ValidationError as error:
        raise BadInputError(
            [str(document.complain(*_problem(e["loc"], e))) for e in error.errors()]
        ) from None
    manifests: dict[str, tuple[Manifest, ...]] = {}
    problems: list[str] = []
    for where, name in _manifest_names(scenario):
        try:
            manifests[name] = load_manifests(path.parent / name)
        except BadInputError as error:
            missing = not (path.parent / name).exists()
            problems += (
                [str(document.complain(where, f'manifest "{name}" does not exist'))]
                if missing
                else error.problems
            )
    if problems:
        raise BadInputError(problems)
    return LoadedScenario(path, scenario, manifests)


def _manifest_names(scenario: Scenario) -> list[tuple[Location, str]]:
    names: list[tuple[Location, str]] = [
        (("manifests", i), name) for i, name in enumerate(scenario.manifests)
    ]
    for i, event in enumerate(scenario.timeline):
        names += [(("timeline", i, "apply"), name) for name in event.apply or ()]
    return names


def _problem(location: tuple[int | str, ...], error: Any) -> tuple[Location, str]:
    """Where it is and what is wrong: field, expected and actual value."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    message, value = error["msg"].removeprefix("Value error, "), error["input"]
    match error["type"]:
        case "extra_forbidden":
            return location, f"{path}: unknown key"
        case "missing":
            return location[:-1], f"{path}: is required"
        case "value_error":
            return location, f"{path}: {message}" if path else message
        case _:
            got = "" if isinstance(value, dict | list) else f", got {shown(value)}"
            return location, f"{path}: {message[0].lower()}{message[1:]}{got}"


def load_manifests(path: Path) -> tuple[Manifest, ...]:
    """The objects of a manifest file; those of our kinds are checked as the operator would.

    Raises:
        BadInputError: With every problem found.
    """
    manifests: list[Manifest] = []
    problems: list[str] = []
    for document in load_documents(path):
        obj = document.value
        if not isinstance(obj, dict) or not isinstance(obj.get("kind"), str):
            message = "expected an object with apiVersion and kind"
            problems.append(str(document.complain((), message)))
            continue
        if obj["kind"] not in BY_KIND:
            kinds = ", ".join(sorted(BY_KIND))
            message = f'kind: expected one of {kinds}, got "{obj["kind"]}"'
            problems.append(str(document.complain(("kind",), message)))
            continue
        resource = BY_KIND[obj["kind"]]
        if obj.get("apiVersion") != resource.api_version:
            message = (
                f'apiVersion: expected "{resource.api_version}" for a {resource.kind}, '
                f"got {shown(obj.get('apiVersion'))}"
            )
            problems.append(str(document.complain(("apiVersion",), message)))
            continue
        if not (obj.get("metadata") or {}).get("name"):
            problems.append(str(document.complain(("metadata",), "metadata.name: is required")))
            continue
        if resource in PRISM_RESOURCES:
            problems += _prism_problems(document)
        manifests.append(Manifest(obj, document))
    if problems:
        raise BadInputError(problems)
    return tuple(manifests)


def _prism_problems(document: Document) -> list[str]:
    try:
        parse(document.value)
    except InvalidObject as invalid:
        return [str(document.complain(location_of(p.path), str(p))) for p in invalid.problems]
    return []
