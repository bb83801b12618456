"""``kubectl prism plan``: what the operator would do if manifests were applied."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
import yaml
from rich.text import Text

from prism_operator.adapters.connection import Connection, connect
from prism_operator.api.meta import Json
from prism_operator.cli.errors import UsageError
from prism_operator.cli.plugin.console import ERR, OUT, print_document, printable
from prism_operator.cli.plugin.files import FilesFlag, RecursiveFlag, read_files
from prism_operator.cli.plugin.flags import (
    ContextFlag,
    KubeconfigFlag,
    NamespaceFlag,
    Output,
    OutputFlag,
)
from prism_operator.manifests import Finding, Manifest, read_manifests
from prism_operator.planning.settings import Settings
from prism_operator.preview.cluster import UnreadableError
from prism_operator.preview.preview import USER, Action, Change, Preview, preview

EXIT_ERROR, EXIT_CHANGES = 1, 2
_SETTINGS: Final = Settings()


def plan(
    filename: FilesFlag,
    recursive: RecursiveFlag = False,
    empty: Annotated[
        bool,
        typer.Option(
            "--empty/--cluster", help="Plan for an empty cluster, or for the kubeconfig's own."
        ),
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")
    ] = False,
    output: OutputFlag = Output.TEXT,
    namespace: NamespaceFlag = None,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
    proxy_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="As the operator's flag.")
    ] = _SETTINGS.proxy_image,
    admin_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="As the operator's flag.")
    ] = _SETTINGS.admin_image,
    runner_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="As the operator's flag.")
    ] = _SETTINGS.runner_image,
    allow_privileged_placement: Annotated[
        bool, typer.Option("--allow-privileged-placement", help="As the operator's flag.")
    ] = False,
) -> None:
    """Show what would be created, changed and deleted if manifests were applied.

    Runs the operator's own planners in memory, on what the cluster has now, and writes nothing to
    it. Exits 0, or 1 for an error; with --detailed-exitcode 0 without and 2 with changes.
    """
    files = read_files(filename, recursive=recursive)
    settings = Settings(
        proxy_image=proxy_image,
        admin_image=admin_image,
        runner_image=runner_image,
        allow_privileged_placement=allow_privileged_placement,
    )
    if empty:
        manifests = _valid(files, namespace or "default")
        planned = _planned(manifests, None, settings)
    else:
        with closing(connect(kubeconfig, context)) as connection:
            connection.check_server()
            manifests = _valid(files, namespace or connection.namespace or "default")
            planned = _planned(manifests, connection, settings)
    if planned.refused:
        _refuse(planned.refused)
    if output is Output.TEXT:
        for line, style in _text(planned):
            OUT.print(Text(printable(line), style))
    else:
        print_document(_document(planned), output)
    raise typer.Exit(EXIT_CHANGES if detailed_exitcode and planned.changes else 0)


def _valid(files: list[tuple[str, bytes]], namespace: str) -> list[Manifest]:
    read = read_manifests(files, namespace)
    if read.errors:
        _refuse(read.errors)
    return read.objects


def _refuse(findings: list[Finding]) -> None:
    for finding in findings:
        ERR.print(printable(str(finding)), style="red")
    raise typer.Exit(EXIT_ERROR)


def _planned(
    manifests: list[Manifest], connection: Connection | None, settings: Settings
) -> Preview:
    # An empty cluster has what the operator knows, KEDA included: a plan for it is for reading.
    now = datetime.now(UTC)
    if connection is None:
        return preview(manifests, None, serves=lambda _: True, settings=settings, now=now)
    serves = connection.capabilities().serves
    try:
        return preview(manifests, connection.reader(), serves=serves, settings=settings, now=now)
    except UnreadableError as error:
        raise UsageError(f"{error} (server {connection.server})") from error


# For people

_COLORS: Final = {Action.CREATE: "green", Action.CHANGE: "yellow", Action.DELETE: "red"}
_DIFF_COLORS: Final = {"+": "green", "-": "red", "@": "cyan"}


def _text(planned: Preview) -> Iterator[tuple[str, str]]:
    """Lines and their styles."""
    for change in planned.changes:
        yield f"# {_headline(change)}", f"bold {_COLORS[change.action]}"
        for line in _diff(change.before, change.after):
            yield line, _DIFF_COLORS.get(line[:1], "")
        yield "", ""
    for remark in planned.remarks:
        told = f"{remark.ref}: {remark.type} is {remark.status} ({remark.reason}): {remark.message}"
        yield f"! {told}", "yellow"
    for unknown in planned.unknown:
        yield f"? {unknown}", "yellow"
    yield _summary(planned), "bold"


def _headline(change: Change) -> str:
    verb = f"{change.action.value} {change.ref}"
    if change.by == USER:
        return f"{verb} by {USER}"
    return f"{verb} for {change.by}: {'; '.join(change.reasons)}"


def _summary(planned: Preview) -> str:
    if not planned.changes:
        return "No changes."
    counts = (f"{planned.count(action)} to {action.value}" for action in Action)
    return f"Plan: {', '.join(counts)}."


def _diff(before: Json | None, after: Json | None) -> Iterator[str]:
    """The lines of a unified diff of the two as YAML, without its two head lines."""
    one, other = (_yaml(obj).splitlines() if obj is not None else [] for obj in (before, after))
    if not one or not other:
        yield from (f"{'+' if other else '-'}{line}" for line in one or other)
        return
    lines = difflib.unified_diff(one, other, lineterm="")
    yield from list(lines)[2:]


# For programs


def _document(planned: Preview) -> Json:
    return {
        "changes": [
            {
                "action": change.action.value,
                **_reference(change.ref),
                "by": change.by,
                "reasons": list(change.reasons),
                "before": change.before,
                "after": change.after,
            }
            for change in planned.changes
        ],
        "remarks": [
            {**_reference(remark.ref), **{k: v for k, v in asdict(remark).items() if k != "ref"}}
            for remark in planned.remarks
        ],
        "unknown": planned.unknown,
        "summary": {action.value: planned.count(action) for action in Action},
    }


def _reference(ref: Any) -> Json:
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "namespace": ref.namespace,
        "name": ref.name,
    }


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice, and shows texts of several lines as such."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)
_FIRST: Final = ("apiVersion", "kind", "metadata")


def _yaml(obj: Json) -> str:
    ordered = {k: obj[k] for k in (*_FIRST, *sorted(obj.keys() - set(_FIRST))) if k in obj}
    shown = {key: _sorted(value) for key, value in ordered.items()}
    return str(yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
