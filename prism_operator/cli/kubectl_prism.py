"""The executable ``kubectl-prism``, which kubectl runs as ``kubectl prism``.

Its commands are in ``prism_operator.cli.plugin``, one module each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from prism_operator.cli.entry import EXIT_BAD_INPUT, run_app

NAME = "kubectl prism"
EXIT_INTERRUPTED = 130
# Of the extra "cli", by the name they are imported under.
_EXTRA = ("rich",)
# Like terraform's plan, whose 2 says that there are changes: an error must never look like it.
_BAD_INPUT = {"plan": 1}


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command and exits as docs/reference/kubectl-prism.md says."""
    for stream in (sys.stdout, sys.stderr):
        # Files may hold what a terminal's encoding has not.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(sys.argv[1:] if args is None else args)
    except KeyboardInterrupt:  # while its modules are loaded
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _run(args: Sequence[str]) -> int:
    try:
        from prism_operator.cli.plugin import app
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        print(
            f"{NAME}: {package} is not installed: pip install 'prism-operator[cli]'",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    command = args[0] if args else ""
    return run_app(app.app, NAME, args, bad_input=_BAD_INPUT.get(command, EXIT_BAD_INPUT))
