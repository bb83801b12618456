"""``kubectl prism validate``: what the API server would refuse, without one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Final

import typer

from prism_operator.cli.plugin.console import OUT, printable
from prism_operator.cli.plugin.files import FilesFlag, RecursiveFlag, read_files
from prism_operator.manifests import Finding, Level, Manifests, read_manifests


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def validate(
    filename: FilesFlag,
    recursive: RecursiveFlag = False,
    namespace: Annotated[
        str,
        typer.Option("--namespace", "-n", metavar="NAME", help="For objects that name none."),
    ] = "default",
    output: Annotated[
        Format,
        typer.Option("--output", "-o", help="github makes annotations of a pull request's lines."),
    ] = Format.TEXT,
) -> None:
    """Check manifests without a cluster, by the rules of the CRDs.

    Prints every problem with file, line and column. Exits 0 when there is none (remarks do not
    count), 1 when there is one, 2 when a file or flag cannot be used.
    """
    read = read_manifests(read_files(filename, recursive=recursive), namespace)
    OUT.out(printable(_FORMATS[output](read)), end="")
    raise typer.Exit(1 if read.errors else 0)


def _text(read: Manifests) -> str:
    return "".join(f"{line}\n" for line in [*map(str, read.findings), _summary(read)])


def _summary(read: Manifests) -> str:
    checked = sum(manifest.is_prism for manifest in read.objects)
    others = len(read.objects) - checked
    unchecked = f"; {others} of other kinds not checked" if others else ""
    errors, remarks = len(read.errors), len(read.findings) - len(read.errors)
    found = _count(errors, "problem") if errors else "no problems"
    told = f", {_count(remarks, 'remark')}" if remarks else ""
    return f"{_count(checked, 'object')} checked: {found}{told}{unchecked}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _json(read: Manifests) -> str:
    document = {
        "findings": [_as_json(finding) for finding in read.findings],
        "checked": sum(manifest.is_prism for manifest in read.objects),
        "notChecked": sum(not manifest.is_prism for manifest in read.objects),
    }
    return json.dumps(document, indent=2) + "\n"


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "file": finding.source,
        "line": finding.line,
        "column": finding.column,
        "level": finding.level.value,
        "object": finding.subject,
        "path": finding.path,
        "message": finding.message,
    }


_COMMANDS: Final = {Level.ERROR: "error", Level.REMARK: "notice"}


def _github(read: Manifests) -> str:
    """Workflow commands of GitHub Actions."""
    lines = [
        f"::{_COMMANDS[f.level]} file={_escaped(f.source, ',:')},line={f.line},col={f.column}::"
        + _escaped(": ".join(part for part in (f.subject, f.path, f.message) if part))
        for f in read.findings
    ]
    return "".join(f"{line}\n" for line in [*lines, _summary(read)])


def _escaped(text: str, also: str = "") -> str:
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" or c in also else c for c in text)


_FORMATS: Final[Mapping[Format, Callable[[Manifests], str]]] = {
    Format.TEXT: _text,
    Format.JSON: _json,
    Format.GITHUB: _github,
}
