"""An event loop whose connections go only where health checks may go.

Every client that speaks asyncio connects through its loop, whatever it resolved, was redirected to
or reads from a server's answer. So addresses are judged there, and the address that was judged is
the one connected to.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from prism_operator.planning.addresses import Network, why_refused

# Resolving a name blocks its thread for as long as the resolver likes.
THREADS_MAX: Final = 64

Result = TypeVar("Result")


class AddressDeniedError(OSError):
    """No connection is made to this address."""


class GuardedLoop(asyncio.SelectorEventLoop):
    """A loop that refuses addresses, and resolves names in threads that hold up no exit."""

    def __init__(self, denied: Sequence[Network] = ()) -> None:
        super().__init__()
        self._denied = denied
        self._threads = _DaemonThreads(self)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """See ``asyncio``. Raises AddressDeniedError."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            self.judge(str(address[0]))
        await super().sock_connect(sock, address)

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """See ``asyncio``."""
        return await self.in_thread(lambda: socket.getaddrinfo(host, port, **hints))

    async def addresses_of(self, host: str, port: int) -> list[str]:
        """The addresses of a host, for clients that connect by themselves; each one judged."""
        infos = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        for address in addresses:
            self.judge(address)
        return addresses

    def judge(self, address: str) -> None:
        """Raises AddressDeniedError for an address that may not be connected to."""
        if why := why_refused(address, self._denied):
            raise AddressDeniedError(why)

    def in_thread(self, call: Callable[[], Result]) -> asyncio.Future[Result]:
        """What a call that blocks returns or raises."""
        return self._threads.submit(call)


class _DaemonThreads:
    """A pool of threads that a process need not wait for when it ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]]]
        self._calls = queue.SimpleQueue()
        self._idle = 0
        self._count = 0
        self._lock = threading.Lock()

    def submit(self, call: Callable[[], Result]) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._lock:
            if self._idle == 0 and self._count < THREADS_MAX:
                self._count += 1
                threading.Thread(target=self._work, name="resolver", daemon=True).start()
            else:
                self._idle -= 1
        self._calls.put((future, call))
        return future

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            try:
                give = partial(_give_result, call())
            except BaseException as error:  # it belongs to whoever waits for it
                give = partial(_give_error, error)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(give, future)
            with self._lock:
                self._idle += 1


def _give_result(result: Any, future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(result)


def _give_error(error: BaseException, future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(error)
