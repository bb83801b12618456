"""What is printed for people: colours on a terminal, plain text in a pipe or with NO_COLOR."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml
from rich.console import Console

from prism_operator.cli.plugin.flags import Output

# Nothing in the text is markup: it comes from files and from the cluster.
OUT: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
ERR: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)


def print_document(value: Any, output: Output) -> None:
    """Prints plain data for programs, as JSON or YAML."""
    if output is Output.YAML:
        OUT.print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    else:
        OUT.print(json.dumps(value, indent=2, ensure_ascii=False))
