"""One watch: what it asks, what it hands out, how it ends."""

from __future__ import annotations

import io
import json
import random
import socket
import threading
import time
from itertools import pairwise

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from prism_operator.adapters.connection import connect, connect_over
from prism_operator.adapters.watch import _lines
from prism_operator.api.meta import CONFIG_MAP, SCALED_OBJECT, SERVICE
from prism_operator.ports import Failed, Reason

from .builders import a_config_map, a_status, an_event, collect, end_of, eventually
from .certificates import AUTHORITY
from .server import Answer, Stream, write_kubeconfig

BOOKMARK = {
    "type": "BOOKMARK",
    "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "12"}},
}


def watch_threads():
    return [t for t in threading.enumerate() if t.name.startswith("watch-") and t.is_alive()]


@pytest.fixture
def watch_of(serve, connect_to):
    """A watch whose server gives this answer."""

    def start(answer, **kwargs):
        return connect_to(serve(answer)).reader(**kwargs).watch(CONFIG_MAP, "default", "7")

    return start


def test_events_come_in_order_and_once(watch_of):
    stream = Stream(an_event("ADDED", "a"), an_event("MODIFIED", "b"), BOOKMARK)
    watch = watch_of(stream)
    stream.send(an_event("DELETED", "c"))

    events = collect(watch, 4)

    assert [e.type.value for e in events] == ["ADDED", "MODIFIED", "BOOKMARK", "DELETED"]
    assert events[2].obj["metadata"] == {"resourceVersion": "12"}
    assert watch.poll() == ()
    watch.close()


def test_poll_does_not_wait(watch_of):
    watch = watch_of(Stream())
    begin_s = time.monotonic()

    assert watch.poll() == ()
    assert watch.ended() is None
    assert time.monotonic() - begin_s < 1
    watch.close()


def test_kind_and_version_are_filled_in(watch_of):
    watch = watch_of(Stream({"type": "ADDED", "object": {"metadata": {"name": "a"}}}))

    (event,) = collect(watch, 1)

    assert (event.obj["apiVersion"], event.obj["kind"]) == ("v1", "ConfigMap")
    watch.close()


def test_the_end_is_told_only_after_the_last_event(watch_of):
    watch = watch_of(Stream(an_event("ADDED")).end())

    eventually(lambda: not watch_threads())
    assert watch.ended() is None
    assert len(watch.poll()) == 1
    assert watch.ended() == Failed(Reason.TRANSIENT, "the server ended the watch")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(a_status(410, "Expired"), 410), Reason.GONE),
        (Answer(a_status(403, "Forbidden"), 403), Reason.FORBIDDEN),
        (Answer(a_status(429, "TooManyRequests"), 429), Reason.THROTTLED),
        (Answer(b"404 page not found\n", 404, "text/plain"), Reason.NO_KIND),
        (Answer(b"<html>", 502, "text/html"), Reason.TRANSIENT),
        (Answer(b"<html>sign in</html>", 200, "text/html"), Reason.TRANSIENT),
        (Answer({}, 204), Reason.TRANSIENT),
        (None, Reason.TRANSIENT),
    ],
)
def test_a_watch_that_cannot_start_says_why(watch_of, answer, reason):
    watch = watch_of(answer)

    assert end_of(watch).reason == reason
    assert watch.poll() == ()


def test_a_watch_in_a_namespace_that_cannot_be_is_refused(serve, connect_to):
    watch = connect_to(serve()).reader().watch(SERVICE, "../x", "7")

    assert end_of(watch) == Failed(Reason.INVALID, 'Service: "../x" cannot be a name')


def test_events_before_the_line_breaks_off_are_kept(watch_of):
    stream = Stream(an_event("ADDED", "a"))
    stream.send(json.dumps(an_event("ADDED", "b")).encode()[:-5])
    watch = watch_of(stream)
    assert len(collect(watch, 1)) == 1

    stream.end()

    assert end_of(watch).reason == Reason.TRANSIENT


def test_a_connection_cut_in_the_middle_of_a_chunk_is_transient(stack, tmp_path):
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def cut():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            line = json.dumps(an_event("ADDED")).encode() + b"\n"
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%s\r\n" % (len(line), line) + b'ff\r\n{"type": "ADD'
            )

    thread = threading.Thread(target=cut)
    thread.start()
    stack.callback(thread.join)
    connection = _connect_to_port(listener.getsockname()[1], tmp_path)
    stack.callback(connection.close)
    watch = connection.reader().watch(CONFIG_MAP, "", "7")

    assert len(collect(watch, 1)) == 1
    assert end_of(watch).reason == Reason.TRANSIENT


def test_a_stream_that_is_not_chunked_arrives_as_it_comes(stack, tmp_path):
    """Some proxies send it so; reading to the end first would deliver nothing."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    release = threading.Event()

    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            connection.sendall(json.dumps(an_event("ADDED")).encode() + b"\n")
            release.wait(5)

    thread = threading.Thread(target=answer)
    thread.start()
    stack.callback(thread.join)
    stack.callback(release.set)
    connection = _connect_to_port(listener.getsockname()[1], tmp_path)
    stack.callback(connection.close)
    watch = connection.reader().watch(CONFIG_MAP, "", "7")

    assert len(collect(watch, 1)) == 1
    assert watch.ended() is None
    release.set()
    assert end_of(watch) == Failed(Reason.TRANSIENT, "the server ended the watch")


def _connect_to_port(port, tmp_path):
    cluster = {"server": f"http://127.0.0.1:{port}"}
    return connect(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user={})))


class TestClose:
    def test_it_wakes_the_thread_at_once(self, watch_of):
        stream = Stream(an_event("ADDED"))
        watch = watch_of(stream)
        collect(watch, 1)
        begin_s = time.monotonic()

        watch.close()
        eventually(lambda: not watch_threads())

        assert time.monotonic() - begin_s < 2
        assert watch.ended() == Failed(Reason.TRANSIENT, "the watch was closed")
        watch.close()

    def test_it_wakes_the_thread_of_a_tls_connection(self, serve, tmp_path, stack):
        server = serve(Stream(an_event("ADDED"))).with_tls(tmp_path)
        (tmp_path / "ca.crt").write_text(AUTHORITY)
        path = server.kubeconfig(tmp_path / "config", **{"certificate-authority": "ca.crt"})
        connection = connect(path)
        stack.callback(connection.close)
        watch = connection.reader().watch(CONFIG_MAP, "default", "7")
        collect(watch, 1)
        begin_s = time.monotonic()

        watch.close()
        eventually(lambda: not watch_threads())

        assert time.monotonic() - begin_s < 2

    def test_it_does_not_wait_for_a_server_that_says_nothing(self, serve, connect_to, stack):
        release = threading.Event()
        server = serve(script=lambda _: release.wait(5) and None)
        stack.callback(release.set)
        watch = connect_to(server).reader().watch(CONFIG_MAP, "default", "7")
        eventually(lambda: server.received)
        begin_s = time.monotonic()

        watch.close()

        assert time.monotonic() - begin_s < 1
        assert watch.ended() == Failed(Reason.TRANSIENT, "the watch was closed")
        release.set()
        eventually(lambda: not watch_threads())

    def test_nothing_is_handed_out_afterwards(self, watch_of):
        stream = Stream(an_event("ADDED"))
        watch = watch_of(stream)
        eventually(lambda: watch._events)

        watch.close()

        assert watch.poll() == ()


class TestNotify:
    def test_it_is_called_for_events_and_for_the_end(self, watch_of):
        news = threading.Event()
        stream = Stream()
        watch = watch_of(stream, notify=news.set)

        stream.send(an_event("ADDED"))
        assert news.wait(5)
        assert len(watch.poll()) == 1
        news.clear()
        stream.end()

        assert news.wait(5)
        assert watch.ended() is not None


class TestTransport:
    def test_the_length_of_a_watch_comes_from_the_named_stream(self, serve, connect_to):
        def lengths(seed):
            server = serve(*[Stream().end() for _ in range(5)])
            reader = connect_to(server).reader(rng=random.Random(seed))
            for _ in range(5):
                end_of(reader.watch(CONFIG_MAP, "", "7"))
            return [int(r.query["timeoutSeconds"]) for r in server.received]

        first = lengths(1)

        assert first == lengths(1) != lengths(2)
        assert all(240 <= length <= 300 for length in first)

    def test_a_half_open_connection_is_noticed_by_keepalive(self, watch_of, monkeypatch):
        sockets = []
        original = socket.socket.connect

        def connect(self, address):
            sockets.append(self)
            original(self, address)

        monkeypatch.setattr(socket.socket, "connect", connect)
        watch = watch_of(Stream(an_event("ADDED")))
        collect(watch, 1)

        (used,) = sockets
        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        watch.close()

    def test_events_are_not_asked_for_compressed(self, serve, connect_to):
        server = serve(Stream().end())

        end_of(connect_to(server).reader().watch(CONFIG_MAP, "", "7"))

        assert server.received[0].headers["accept-encoding"] == "identity"

    def test_in_process_the_pending_events_are_there_at_once(self):
        class Transport(BaseAdapter):
            def send(self, request, **kwargs):
                body = json.dumps(an_event("ADDED")).encode() + b"\n"
                response = requests.Response()
                response.status_code = 200
                response.raw = urllib3.HTTPResponse(
                    io.BytesIO(body), status=200, preload_content=False, decode_content=False
                )
                response.request = request
                response.url = request.url
                return response

            def close(self):
                pass

        watch = connect_over(Transport()).reader().watch(CONFIG_MAP, "", "7")

        assert [e.obj["metadata"]["name"] for e in watch.poll()] == ["a"]
        assert watch.ended() == Failed(Reason.TRANSIENT, "the server ended the watch")


class _Chunks:
    def __init__(self, chunks):
        self._chunks = iter(chunks)

    def read1(self, _):
        return next(self._chunks, b"")


@settings(deadline=None)  # a busy machine is no failure
@given(
    names=st.lists(st.text(min_size=1, max_size=5), max_size=6),
    cuts=st.lists(st.integers(0, 2000)),
    blank=st.booleans(),
)
def test_lines_do_not_depend_on_how_the_stream_is_cut(names, cuts, blank):
    lines = [json.dumps(a_config_map(name)).encode() for name in names]
    data = (b"\n\n" if blank else b"\n").join([*lines, b""])
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    chunks = [data[a:b] for a, b in pairwise(places)]

    assert [line for batch in _lines(_Chunks(chunks)) for line in batch] == lines


def test_a_missing_crd_is_told_apart(serve, connect_to):
    answer = Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8")
    watch = connect_to(serve(answer)).reader().watch(SCALED_OBJECT, "", "7")

    assert end_of(watch).reason == Reason.NO_KIND
