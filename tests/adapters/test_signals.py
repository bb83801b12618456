"""Signals that come together are heard, whichever thread the system gives them to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

PROGRAM = """
import os, queue, signal, threading
from prism_operator.adapters.signals import on_signals

stopped, idle = queue.SimpleQueue(), threading.Event()
on_signals((signal.SIGTERM, signal.SIGINT), lambda: stopped.put(None))
for _ in range(13):  # as many as the operator has, each waking now and then
    threading.Thread(target=lambda: [idle.wait(0.005) for _ in iter(int, 1)], daemon=True).start()
print("ready", flush=True)
stopped.get()
os._exit(0)
"""
TIMES = 20  # one in seven is lost where only the main thread would hear them


def test_impatient_people_are_heard() -> None:
    for _ in range(TIMES):
        command = [sys.executable, "-c", PROGRAM]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  ours, above
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == b"ready\n"
                time.sleep(0.01)  # the main thread sleeps by then
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
                    process.send_signal(number)
                assert process.wait(10) == 0
            finally:
                process.kill()
