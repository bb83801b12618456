"""One watch: a thread reads the stream, ``poll`` hands out what has arrived.

The stream is parsed here, because pykube hands out an ERROR event as if it were an object and
dies of a truncated line.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import orjson
import requests
import urllib3

from prism_operator.adapters.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Client
from prism_operator.adapters.outcomes import failure_of_error, failure_of_status, outcome_of
from prism_operator.api.meta import Json, Resource
from prism_operator.ports import EventType, Failed, Ok, Reason, WatchEvent

# How long a server may be silent beyond the end it was asked for.
SILENCE_MARGIN_S = 15.0
_CHUNK_BYTES = 64 * 1024


class HttpWatch:
    """Implements ``ports.Watch``. ``timeout_s`` is how long the server shall keep it open."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        path: str | Failed,
        resource_version: str,
        *,
        timeout_s: int,
        margin_s: float = SILENCE_MARGIN_S,
        notify: Callable[[], None] | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._path = path
        self._params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
        }
        self._silence_s_max = timeout_s + margin_s
        self._notify = notify or (lambda: None)
        self._lock = threading.Lock()
        self._events: deque[WatchEvent] = deque()
        self._end: Failed | None = None
        self._closed = False
        self._raw: urllib3.BaseHTTPResponse | None = None
        if client.in_process:
            self._feed()  # such an answer holds what is pending, and ends
        else:
            name = f"watch-{resource.plural}"
            threading.Thread(target=self._feed, name=name, daemon=True).start()

    def poll(self) -> Sequence[WatchEvent]:
        """See ``ports.Watch``."""
        with self._lock:
            events = tuple(self._events)
            self._events.clear()
        return events

    def ended(self) -> Failed | None:
        """See ``ports.Watch``."""
        with self._lock:
            return None if self._events else self._end

    def close(self) -> None:
        """See ``ports.Watch``. The thread wakes up at once and lets go of the connection.

        Only while it waits for the first byte of an answer it cannot be woken; then it ends by
        itself within 30 s.
        """
        with self._lock:
            self._closed = True
            self._events.clear()
            self._end = self._end or Failed(Reason.TRANSIENT, "the watch was closed")
            if self._raw is not None:
                # Not close(): it would wait for the thread that reads.
                with contextlib.suppress(ValueError, RuntimeError, OSError):
                    self._raw.shutdown()

    def _feed(self) -> None:
        session = self._client.new_session()
        try:
            end = self._read(session)
        except Exception as error:  # broad: a dead thread would be a silent watch
            end = failure_of_error(error, f"watch of {self._resource.plural}")
        finally:
            session.close()
        with self._lock:
            self._raw = None
            self._end = self._end or end
        self._notify()

    def _read(self, session: requests.Session) -> Failed:
        if isinstance(self._path, Failed):
            return self._path
        response = self._client.call(
            "GET",
            self._path,
            params=self._params,
            headers={"Accept-Encoding": "identity"},  # an event is not to wait in a compressor
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            stream=True,
            session=session,
        )
        with contextlib.closing(response):
            if response.status_code != requests.codes.ok:
                outcome = outcome_of(response)
                unexpected = f"HTTP {response.status_code} to a watch"
                return Failed(Reason.TRANSIENT, unexpected) if isinstance(outcome, Ok) else outcome
            raw = response.raw
            with self._lock:
                if self._closed:
                    return Failed(Reason.TRANSIENT, "the watch was closed")
                self._raw = raw
            # The answer has begun; from here on the server may be silent for long.
            connection = raw.connection
            if connection is not None and connection.sock is not None:
                connection.sock.settimeout(self._silence_s_max)
            for lines in _lines(raw):
                for line in lines:
                    if (failure := self._take(line)) is not None:
                        return failure
                self._notify()
        return Failed(Reason.TRANSIENT, "the server ended the watch")

    def _take(self, line: bytes) -> Failed | None:
        """Queues the event of one line; returns why the watch is over if the line says so."""
        try:
            event = orjson.loads(line)
            kind, obj = event["type"], event["object"]
            if kind == "ERROR":
                return failure_of_status(obj, int(obj.get("code") or 500))
            parsed = WatchEvent(EventType(kind), self._with_kind(obj))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Failed(
                Reason.TRANSIENT, f"watch of {self._resource.plural}: a line is no watch event"
            )
        with self._lock:
            if not self._closed:
                self._events.append(parsed)
        return None

    def _with_kind(self, obj: Json) -> Json:
        obj.setdefault("apiVersion", self._resource.api_version)
        obj.setdefault("kind", self._resource.kind)
        return obj


def _lines(raw: urllib3.BaseHTTPResponse) -> Iterator[list[bytes]]:
    """The lines of a stream as they arrive; an unfinished last one is handed out as it is."""
    rest = b""
    while chunk := raw.read1(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [line for line in lines if line.strip()]
    if rest.strip():
        yield [rest]
