"""All commands of ``kubectl prism``."""

from __future__ import annotations

import typer

from prism_operator import __version__
from prism_operator.cli.plugin.console import OUT
from prism_operator.cli.plugin.explain import explain
from prism_operator.cli.plugin.plan import plan
from prism_operator.cli.plugin.report import report
from prism_operator.cli.plugin.status import status
from prism_operator.cli.plugin.validate import validate

app = typer.Typer(
    name="kubectl prism",
    help="Plans, checks and explains Prism resources.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Keeps commands subcommands however few they are."""


@app.command()
def version() -> None:
    """Print the version."""
    OUT.print(__version__)


# One line for each command, in the order that --help lists them.
app.command()(plan)
app.command()(validate)
app.command()(explain)
app.command()(status)
app.command()(report)
