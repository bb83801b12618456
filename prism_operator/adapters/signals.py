"""Signals of the operating system, heard by whichever thread Linux gives them to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence


def on_signals(numbers: Sequence[signal.Signals], act: Callable[[], None]) -> None:
    """Calls ``act`` soon after one of these signals, in a thread of its own. For the main thread.

    A handler alone is not enough: it runs in the main thread, and only once that wakes. Of signals
    that come together Linux may give all to another thread (``complete_signal`` and
    ``dequeue_signal`` in kernel/signal.c), and the main one sleeps on. Python's own C handler
    writes into this pipe in any thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)  # without one the signal ends the process

    def listen() -> None:
        while os.read(reading, 1):
            act()

    threading.Thread(target=listen, name="signals", daemon=True).start()
