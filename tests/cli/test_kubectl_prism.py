"""What a person sees who calls the plugin wrongly, or installed only half of it."""

from __future__ import annotations

import sys

import pytest

from prism_operator import __version__

from .builders import kubectl_prism


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert kubectl_prism("version", capsys=capsys).out == f"{__version__}\n"


def test_an_unknown_command_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    ran = kubectl_prism("frobnicate", capsys=capsys)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "kubectl prism: No such command 'frobnicate'.\n"


def test_a_missing_extra_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [m for m in sys.modules if m.startswith("prism_operator.cli.plugin")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "rich.console", None)

    ran = kubectl_prism("version", capsys=capsys)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "kubectl prism: rich is not installed: pip install 'prism-operator[cli]'\n"
