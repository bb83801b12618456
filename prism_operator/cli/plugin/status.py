"""``kubectl prism status``: stacks with their parts, once or as they change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from prism_operator.api.meta import PRISM_PATTERN, PRISM_STACK, Json
from prism_operator.cli.plugin.cluster import (
    AllNamespacesFlag,
    OpenCluster,
    find_object,
    open_cluster,
    require_read,
)
from prism_operator.cli.plugin.console import OUT, print_document
from prism_operator.cli.plugin.flags import (
    ContextFlag,
    KubeconfigFlag,
    NamespaceFlag,
    Output,
    OutputFlag,
)
from prism_operator.diagnosis.facts import Facts
from prism_operator.diagnosis.overview import HEADINGS, Overview, overview_of


def status(
    stack: Annotated[
        str | None, typer.Argument(metavar="[STACK]", help="A stack. Default: all of them.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, help="Between two looks with --watch.")
    ] = 2.0,
    all_namespaces: AllNamespacesFlag = False,
    namespace: NamespaceFlag = None,
    output: OutputFlag = Output.TEXT,
    kubeconfig: KubeconfigFlag = None,
    context: ContextFlag = None,
) -> None:
    """Show stacks and stand-alone patterns: what is ready, scaled by whom, and where it lies."""
    with open_cluster(kubeconfig, context, namespace) as cluster:
        if not watch:
            _print(_overviews(cluster, stack, all_namespaces), output)
        elif OUT.is_terminal and output is Output.TEXT:
            _show_live(cluster, stack, all_namespaces, interval)
        else:
            _print_changes(cluster, stack, all_namespaces, output, interval)


def _overviews(
    cluster: OpenCluster, stack: str | None, all_namespaces: bool
) -> tuple[Overview, ...]:
    if stack is not None and not all_namespaces:
        target = stack if "/" in stack else f"prismstack/{stack}"
        subject = find_object(cluster.gatherer, target, cluster.namespace)
        return (overview_of(cluster.gatherer.facts_about(subject)),)
    seen, _ = cluster.gatherer.everything("" if all_namespaces else cluster.namespace)
    require_read(seen, PRISM_STACK)
    subjects = [
        *seen.by_kind.get(PRISM_STACK.kind, ()),
        *(p for p in seen.by_kind.get(PRISM_PATTERN.kind, ()) if not _has_controller(p)),
    ]
    return tuple(
        overview_of(Facts(subject, seen))
        for subject in subjects
        if stack in (None, subject["metadata"]["name"])
    )


def _has_controller(obj: Json) -> bool:
    return any(o.get("controller") for o in obj["metadata"].get("ownerReferences") or ())


def _print(overviews: Sequence[Overview], output: Output) -> None:
    if output is not Output.TEXT:
        print_document([overview.as_json() for overview in overviews], output)
    elif OUT.is_terminal:
        OUT.print(_rendered(overviews))
    else:
        OUT.print(overviews_text(overviews), end="")


def _show_live(
    cluster: OpenCluster, stack: str | None, all_namespaces: bool, interval_s: float
) -> None:
    with Live(console=OUT, auto_refresh=False) as live:
        while True:
            live.update(_rendered(_overviews(cluster, stack, all_namespaces)), refresh=True)
            time.sleep(interval_s)


def _print_changes(
    cluster: OpenCluster,
    stack: str | None,
    all_namespaces: bool,
    output: Output,
    interval_s: float,
) -> None:
    shown = None
    while True:
        overviews = _overviews(cluster, stack, all_namespaces)
        if (essence := [o.without_ages() for o in overviews]) != shown:
            _print(overviews, output)
            shown = essence
        time.sleep(interval_s)


def overviews_text(overviews: Sequence[Overview]) -> str:
    """Plain columns, the same for the same overviews."""
    if not overviews:
        return "No PrismStack or PrismPattern found.\n"
    return "\n".join(_plain(overview) for overview in overviews)


def _plain(overview: Overview) -> str:
    rows = [HEADINGS, *(part.cells for part in overview.parts)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [overview.title]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"  {'   '.join(cells)}".rstrip())
    lines += [f"  ! {remark}" for remark in overview.remarks]
    lines += [f"  ? {unread}" for unread in overview.unread]
    return "".join(f"{line}\n" for line in lines)


def _rendered(overviews: Sequence[Overview]) -> RenderableType:
    """The same in colours."""
    if not overviews:
        return Text(overviews_text(overviews))
    shown: list[RenderableType] = []
    for overview in overviews:
        shown.append(Text(overview.title, style=f"bold {_colour(overview.ready == 'True')}"))
        table = Table(*HEADINGS, box=None, pad_edge=True, header_style="bold")
        for part in overview.parts:
            cells = [Text(cell) for cell in part.cells]
            cells[1].stylize(_colour(part.is_fine))
            table.add_row(*cells)
        shown.append(table)
        shown += [Text(f"  ! {remark}", style="yellow") for remark in overview.remarks]
        shown += [Text(f"  ? {unread}", style="yellow") for unread in overview.unread]
    return Group(*shown)


def _colour(is_fine: bool) -> str:
    return "green" if is_fine else "red"
