"""Every command in our pages is run, in the order a reader meets it, and prints what is shown.

One cluster for each page, without Docker. What cannot run there is marked with the reason; see
``e2e.pages``.
"""

from __future__ import annotations

import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from e2e.pages import Shell, blocks_of, shell_environment
from e2e.waiting import eventually

ROOT = Path(__file__).parent.parent
# Where `make run` serves metrics and health; another page's operator may still be ending.
OPERATOR_PORTS = (8080, 8081)
PORTS_FREE_S = 120.0
PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
    if any(not block.not_run for block in blocks_of(page))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_does_what_it_shows(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = blocks_of(page)
    eventually(_ports_are_free, within_s=PORTS_FREE_S)
    environment = shell_environment(tmp_path / "cluster")
    typed = [command.text for block in blocks for command in block.commands]
    run, reasons = 0, Counter[str]()
    try:
        if not any(text.startswith("make cluster-up") for text in typed):
            _make(environment, "cluster-up")
            environment["KUBECONFIG"] = str(tmp_path / "cluster" / "kubeconfig")
        with Shell(ROOT, environment, tmp_path) as shell:
            for block in blocks:
                if block.not_run:
                    reasons[block.not_run] += len(block.commands)
                    continue
                failure = shell.run(block)
                assert not failure, (
                    f"{page.relative_to(ROOT)}:{failure.command.line}: "
                    f"$ {failure.command.text}\n{failure.why}\nIt printed:\n{failure.printed}"
                )
                run += len(block.commands)
    finally:
        _make(environment, "cluster-down")
    left = "".join(f"; {count} not: {reason}" for reason, count in sorted(reasons.items()))
    with capsys.disabled():
        print(f"\n{page.relative_to(ROOT)}: {run} commands run{left}")


def _ports_are_free() -> None:
    for port in OPERATOR_PORTS:
        with socket.socket() as probe:
            answer = probe.connect_ex(("127.0.0.1", port))
        assert answer, f"port {port} is taken: does another operator run here?"


def _make(environment: dict[str, str], target: str) -> None:
    command = ["make", target]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
