"""The flags that commands share, named as kubectl names them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeAlias

import typer


class Output(StrEnum):
    """What a command prints: text for people, or one document for programs."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


KubeconfigFlag: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig", metavar="FILE", help="The kubeconfig file. Default: as kubectl finds it."
    ),
]
ContextFlag: TypeAlias = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="The context of the kubeconfig."),
]
NamespaceFlag: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="The namespace. Default: the context's."
    ),
]
OutputFlag: TypeAlias = Annotated[
    Output, typer.Option("--output", "-o", help="What to print.", show_default=True)
]
