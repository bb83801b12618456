"""Renders docs/reference/kubectl-prism.md from what ``kubectl prism … --help`` prints.

``make manifests`` writes it; ``make check`` fails when it differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from typer.main import get_group
from typer.testing import CliRunner

from prism_operator import generated
from prism_operator.cli.plugin.app import app

_HEAD = """\
<!-- Generated from the commands' --help by `make manifests`. -->
# kubectl prism

`kubectl-prism` on the `PATH` is `kubectl prism`. It comes with the package
(`pip install 'prism-operator[cli]'`), and with `make` in `.venv/bin`. Bad flags are one line on
standard error and exit code 2 (`plan`: 1, since its 2 says that there are changes).
[How to plan and validate](../how-to/plan-and-validate.md) shows it at work.
"""


def render_reference() -> str:
    """The page."""
    sections = [_HEAD]
    for name in get_group(app).list_commands(None):  # type: ignore[arg-type]
        sections.append(f"\n## {name}\n\n```text\n{_help_of(name)}```\n")
    return "".join(sections)


def generated_files(root: Path) -> dict[Path, str]:
    """The page by its path below ``root``, the project's folder."""
    return {root / "docs" / "reference" / "kubectl-prism.md": render_reference()}


def _help_of(command: str) -> str:
    environment = {"COLUMNS": "88", "TERMINAL_WIDTH": "88", "NO_COLOR": "1"}
    result = CliRunner(env=environment).invoke(
        app, [command, "--help"], prog_name="kubectl prism", terminal_width=88
    )
    return "".join(f"{line.rstrip()}\n" for line in result.output.rstrip().splitlines())


if __name__ == "__main__":
    program = "python -m prism_operator.cli.reference"
    sys.exit(generated.main(program, sys.argv[1:], generated_files))
