"""An event loop in a thread of its own that answers what it is asked, one answer for each."""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from prism_operator.adapters.probing.loop import GuardedLoop
from prism_operator.api.meta import Ref
from prism_operator.planning.addresses import Network

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class Answering(ABC, Generic[Asked, Answered]):
    """What ``ports.Prober`` and ``ports.ControlPlane`` have in common."""

    def __init__(self, name: str, denied: Sequence[Network]) -> None:
        self._loop = GuardedLoop(denied)
        self._answers: queue.SimpleQueue[tuple[Ref, Answered]] = queue.SimpleQueue()
        self._notify: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @abstractmethod
    async def _answer(self, key: Ref, asked: Asked) -> Answered:
        """The one answer, in time; raises nothing."""

    def notify_with(self, notify: Callable[[], None]) -> None:
        """See ``Prober``."""
        self._notify = notify

    def begin(self, key: Ref, asked: Asked, /) -> None:
        """See ``Prober``."""
        self._loop.call_soon_threadsafe(self._start, key, asked)

    def poll(self) -> list[tuple[Ref, Answered]]:
        """See ``Prober``."""
        found = []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def next_due_s(self) -> float | None:
        """See ``Prober``."""
        return None

    def close(self) -> None:
        """Ends the thread; what is under way has no answer."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        # What goes wrong in a connection that nobody waits for any more is nobody's business.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _start(self, key: Ref, asked: Asked) -> None:
        task = self._loop.create_task(self._give(key, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give(self, key: Ref, asked: Asked) -> None:
        self._answers.put((key, await self._answer(key, asked)))
        self._notify()
