"""Builds what the tests need, and runs pytest where their ports are nobody's: ``make test-keda``.

KEDA's adapter and webhook listen on all interfaces. Linux gives the tests a network of their own,
with nothing in it but loopback; elsewhere, and where that is forbidden, they run in everybody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from e2e import keda
from e2e.backend_servers import MissingServer, kafka_jars
from e2e.build import (
    CONTROL_PLANE,
    KEDA_ADAPTER,
    KEDA_OPERATOR,
    KEDA_WEBHOOKS,
    KWOK,
    NATS,
    BuildError,
    build,
)

_PROGRAMS: Final = (CONTROL_PLANE, KWOK, NATS, KEDA_OPERATOR, KEDA_ADAPTER, KEDA_WEBHOOKS)
_INSIDE: Final = "PRISM_TEST_ALONE"
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def main(arguments: list[str]) -> None:
    """Becomes pytest; exits with 1 when something cannot be built."""
    if os.environ.pop(_INSIDE, None):
        _raise_loopback()
    else:
        try:
            _prepare()
        except (BuildError, MissingServer) as error:
            sys.exit(f"error: {error}")
        if isolation := _isolation():
            os.environ[_INSIDE] = "1"
            again = [sys.executable, "-m", "e2e.with_keda", *arguments]
            os.execvp(isolation[0], [*isolation, *again])
        print("no network of its own: KEDA's ports are open to others meanwhile", file=sys.stderr)
    pytest = str(Path(sys.executable).with_name("pytest"))
    os.execv(pytest, [pytest, *arguments, str(Path(__file__).parent)])


def _prepare() -> None:
    """Builds and downloads, which takes a network."""
    for program in _PROGRAMS:
        build(program)
    keda.crd_files()
    kafka_jars()


def _isolation() -> list[str]:
    """The command that runs another one without a network; empty where there is none."""
    unshare = shutil.which("unshare")
    for flags in (["--net"], ["--net", "--map-root-user"]) if unshare else []:
        command = [str(unshare), *flags]
        if not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    return []


def _raise_loopback() -> None:
    """``ip link set lo up``, where iproute2 is not installed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


if __name__ == "__main__":
    main(sys.argv[1:])
