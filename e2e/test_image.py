"""The image's contents, without Docker: its install steps are run here, its files are looked at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from prism_operator import __version__

SIZE_BYTES_MAX = 80 * 1024 * 1024  # a quarter of it is gRPC, by which namespaces are provisioned
ROOT = Path(__file__).parent.parent


def test_the_image_s_install_steps_bring_the_operator_and_nothing_of_the_simulator(
    tmp_path: Path,
) -> None:
    target, installed = _install(tmp_path)

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {_name(d) for d in project["dependencies"]}
    others = {_name(d) for d in (*extras["sim"], *extras["backends"])} - {"rich"}  # typer's too
    assert wanted < installed
    assert not installed & {*others, "numpy", "pytest", "pip", "uv", "kubernetes", "hypothesis"}
    assert not list(target.rglob("simulator"))
    program = target / "bin" / "prism-operator"
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"{__version__}\n"
    assert _size(target) < SIZE_BYTES_MAX


def test_the_extra_backends_brings_a_client_for_every_protocol(tmp_path: Path) -> None:
    target, _ = _install(tmp_path, "backends")

    script = (
        "from prism_operator.adapters.probing.prober import PROVIDERS, import_probe\n"
        "for provider in PROVIDERS: import_probe(provider)"
    )
    subprocess.run([target / "bin" / "python", "-c", script], check=True)


def _install(tmp_path: Path, extras: str = "") -> tuple[Path, set[str]]:
    """Runs the Dockerfile's steps; where the operator is then, and the packages with it."""
    lines = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines()]
    build = lines[: max(i for i, words in enumerate(lines) if words[:1] == ["FROM"])]
    source, target = tmp_path / "source", tmp_path / "prism-operator"
    source.mkdir()
    for _, *files, place in (words for words in build if words[:1] == ["COPY"]):
        for file in files:
            subprocess.run(["cp", "-r", str(ROOT / file), str(source / place)], check=True)
    steps = [words[1:] for words in build if words[:1] == ["RUN"]]
    assert steps == [["scripts/install-operator", "/opt/prism-operator", "${EXTRAS}"]]

    # python3 is then the one of these tests.
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    subprocess.run(
        [source / steps[0][0], str(target), *extras.split()],
        cwd=source,
        check=True,
        env={**os.environ, "PATH": path},
    )

    python = target / "bin" / "python"
    listed = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    found = subprocess.run([python, "-c", listed], capture_output=True, text=True, check=True)
    return target, {_name(name) for name in found.stdout.split()}


def _size(target: Path) -> int:
    return sum(path.lstat().st_size for path in target.rglob("*"))


def test_the_build_gets_every_file_it_copies_and_nothing_else() -> None:
    words = [line.split() for line in (ROOT / "Dockerfile").read_text().splitlines()]
    copied = {f for w in words if w[:1] == ["COPY"] and "--from=build" not in w for f in w[1:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied


def test_the_image_runs_the_operator_as_nobody_who_could_write() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert "\nUSER 65532:65532\n" in text
    assert 'ENTRYPOINT ["/opt/prism-operator/bin/prism-operator", "run"]' in text


def _name(dependency: str) -> str:
    return re.split(r"[<>=!~\[ ;]", dependency, maxsplit=1)[0].lower().replace("_", "-")
