"""How tests run ``kubectl prism``."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from prism_operator.cli.kubectl_prism import main


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def kubectl_prism(*args: str, capsys: pytest.CaptureFixture[str]) -> Ran:
    with pytest.raises(SystemExit) as ended:
        main(args)
    captured = capsys.readouterr()
    return Ran(int(ended.value.code or 0), captured.out, captured.err)
