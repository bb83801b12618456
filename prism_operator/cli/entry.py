"""Runs a command line and turns what a person did wrong into one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from prism_operator.adapters.errors import ConnectError
from prism_operator.cli.errors import UsageError

EXIT_BAD_INPUT = 2


def run_app(
    app: typer.Typer, name: str, args: Sequence[str], *, bad_input: int = EXIT_BAD_INPUT
) -> int:
    """The exit code of ``name args…``: 0 when done, ``bad_input`` after one line for bad input.

    A command that ends with another code raises ``typer.Exit``. Bugs are raised as they are.
    """
    try:
        command = get_command(app)
        return int(
            command.main(list(args) or ["--help"], prog_name=name, standalone_mode=False) or 0
        )
    except (UsageError, ConnectError) as error:
        message = str(error)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except Exception as error:
        # Errors of flags are click's, whichever click typer brings along.
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    return bad_input
