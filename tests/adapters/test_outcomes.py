"""Every answer and every exception becomes one typed outcome."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.adapters.connection import connect
from prism_operator.adapters.outcomes import MESSAGE_CHARS_MAX, outcome_of, redact
from prism_operator.api.meta import CONFIG_MAP, SECRET, Ref
from prism_operator.ports import Failed, Ok, Reason

from .builders import a_config_map, a_status
from .server import Answer, ScriptedServer, write_kubeconfig

REF = Ref(CONFIG_MAP, "default", "a")


@pytest.fixture
def writer_of(serve, connect_to):
    """A writer whose server gives this answer."""

    def start(answer):
        return connect_to(serve(answer)).writer()

    return start


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        # As a real kube-apiserver 1.37 answers; e2e/test_adapter.py provokes them there.
        (a_status(409, "AlreadyExists", name="a"), Reason.ALREADY_EXISTS),
        (a_status(409, "Conflict", "the object has been modified", name="a"), Reason.CONFLICT),
        (
            a_status(409, "Conflict", "uid mismatch: … and no existing object was found"),
            Reason.CONFLICT,
        ),
        (
            a_status(
                409,
                "Conflict",
                "Apply failed with 1 conflict",
                causes=[{"reason": "FieldManagerConflict", "field": ".data.k"}],
            ),
            Reason.CONFLICT,
        ),
        (
            a_status(
                409, "Conflict", "the UID in the precondition (1) does not match the UID in r"
            ),
            Reason.UID_MISMATCH,
        ),
        (
            a_status(409, "Conflict", "UID in precondition: 1, UID in object meta: 2"),
            Reason.UID_MISMATCH,
        ),
        (
            a_status(409, "Conflict", "the ResourceVersion in the precondition (1) does not match"),
            Reason.CONFLICT,
        ),
        (
            a_status(422, "Invalid", name="a", causes=[{"field": "metadata.uid"}]),
            Reason.UID_MISMATCH,
        ),
        (a_status(422, "Invalid", name="a", causes=[{"field": "spec.x"}]), Reason.INVALID),
        (a_status(400, "BadRequest"), Reason.INVALID),
        (a_status(404, "NotFound", name="a", kind="configmaps"), Reason.NOT_FOUND),
        (a_status(404, "NotFound"), Reason.NO_KIND),
        (a_status(410, "Expired"), Reason.GONE),
        (a_status(403, "Forbidden"), Reason.FORBIDDEN),
        (
            a_status(403, "Forbidden", name="a", causes=[{"reason": "NamespaceTerminating"}]),
            Reason.TERMINATING,
        ),
        (a_status(401, "Unauthorized"), Reason.UNAUTHORIZED),
        (a_status(405, "MethodNotAllowed"), Reason.INVALID),
        (a_status(413, "RequestEntityTooLarge"), Reason.INVALID),
        (a_status(429, "TooManyRequests"), Reason.THROTTLED),
        (a_status(500, "InternalError"), Reason.TRANSIENT),
        (a_status(503, "ServiceUnavailable"), Reason.TRANSIENT),
        (a_status(504, "Timeout"), Reason.TRANSIENT),
    ],
)
def test_a_status_becomes_the_reason_a_caller_acts_on(writer_of, status, reason):
    outcome = writer_of(Answer(status, status["code"])).replace(a_config_map(), "m")

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


@pytest.mark.parametrize("code", [200, 201, 202])
def test_an_object_is_ok(writer_of, code):
    assert writer_of(Answer(a_config_map(), code)).create(a_config_map(), "m") == Ok(a_config_map())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            Answer(b"<html>token-in-body</html>", 502, "text/html"),
            Failed(Reason.TRANSIENT, "HTTP 502 with a body of 26 bytes (text/html)"),
        ),
        (
            Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8"),
            Failed(Reason.NO_KIND, "the server does not serve this resource (HTTP 404)"),
        ),
        (
            Answer(b"<html>sign in</html>", 200, "text/html"),
            Failed(
                Reason.TRANSIENT,
                "HTTP 200 with a body of 20 bytes (text/html) where JSON was expected",
            ),
        ),
        (Answer(b"", 500, None), Failed(Reason.TRANSIENT, "HTTP 500 with no body")),
        (
            Answer([], 500),
            Failed(Reason.TRANSIENT, "HTTP 500 with a body of 2 bytes (application/json)"),
        ),
        (
            Answer(b"", 302, headers=(("Location", "https://u:p@login/"),)),
            Failed(
                Reason.INVALID, "HTTP 302 with no body, redirecting to https://[redacted]@login/"
            ),
        ),
    ],
)
def test_a_body_that_is_no_status_is_described_but_not_quoted(writer_of, answer, expected):
    assert writer_of(answer).create(a_config_map(), "m") == expected


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [(429, Reason.THROTTLED), (503, Reason.THROTTLED), (500, Reason.TRANSIENT)],
    )
    def test_seconds_in_the_header(self, writer_of, code, reason):
        answer = Answer(a_status(code, "x"), code, headers=(("Retry-After", "7"),))

        outcome = writer_of(answer).create(a_config_map(), "m")

        assert (outcome.reason, outcome.retry_after_s) == (reason, 7.0)

    def test_seconds_in_the_status(self, writer_of):
        answer = Answer(a_status(500, "ServerTimeout", retryAfterSeconds=3), 500)

        assert writer_of(answer).create(a_config_map(), "m").retry_after_s == 3.0

    def test_a_date(self, writer_of):
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        answer = Answer(b"slow down", 429, "text/plain", (("Retry-After", when),))

        outcome = writer_of(answer).create(a_config_map(), "m")

        assert outcome.reason == Reason.THROTTLED
        assert 50 < outcome.retry_after_s <= 60

    def test_a_date_in_the_past_is_now(self, writer_of):
        headers = (("Retry-After", "Mon, 02 Mar 2020 00:00:00 GMT"),)

        outcome = writer_of(Answer(b"", 429, "text/plain", headers)).create(a_config_map(), "m")

        assert outcome.retry_after_s == 0

    @pytest.mark.parametrize("header", ["soon", "-5", "", "1e9", "Mon, 99 Foo 2026"])
    def test_what_is_neither_is_ignored(self, writer_of, header):
        answer = Answer(a_status(429, "x"), 429, headers=(("Retry-After", header),))

        assert writer_of(answer).create(a_config_map(), "m").retry_after_s is None


class TestNetwork:
    def test_a_refused_connection(self, serve, connect_to):
        server = ScriptedServer()
        server._http.server_close()

        outcome = connect_to(server).reader().get(REF)

        path = f"{server.url}/api/v1/namespaces/default/configmaps/a"
        assert outcome == Failed(Reason.TRANSIENT, f"GET {path}: Connection refused")

    def test_a_connection_that_is_cut_off(self, serve, connect_to):
        outcome = connect_to(serve(None)).reader().get(REF)

        assert outcome.reason == Reason.TRANSIENT

    def test_an_answer_that_takes_too_long(self, serve, connect_to, stack):
        release = threading.Event()

        def script(_):
            release.wait(5)
            return Answer(a_config_map())

        server = serve(script=script)
        stack.callback(release.set)
        outcome = connect_to(server)._client.outcome("GET", "/x", timeout=(1, 0.05))

        assert outcome == Failed(Reason.TRANSIENT, f"GET {server.url}/x: no answer in time")

    def test_a_name_nobody_knows(self, tmp_path, stack):
        path = write_kubeconfig(
            tmp_path / "config", cluster={"server": "http://nowhere.invalid"}, user={}
        )
        connection = stack.enter_context(closing(connect(str(path))))

        outcome = connection.reader().get(REF)

        assert outcome.reason == Reason.TRANSIENT
        assert "nowhere.invalid" in outcome.message

    def test_no_write_is_sent_twice(self, serve, connect_to):
        server = serve(None, Answer(a_config_map()))

        outcome = connect_to(server).writer().create(a_config_map(), "m")

        assert outcome.reason == Reason.TRANSIENT
        assert len(server.received) == 1


class TestNoSecretGetsOut:
    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            (
                "dial nats://user:hunter2@nats:4222 failed",
                "dial nats://[redacted]@nats:4222 failed",
            ),
            ("sent Authorization: Bearer abc.def", "sent Authorization: Bearer [redacted]"),
            ("authorization: basic dXNlcjpwYXNz", "authorization: basic [redacted]"),
            ("got eyJhbGciOi.eyJzdWIi.c2ln instead", "got [redacted] instead"),
            ("key -----BEGIN KEY-----\nabc\n-----END KEY----- end", "key [redacted] end"),
            ("key -----BEGIN KEY-----\nabc", "key [redacted]"),
            ("a\nb\t c", "a b c"),
        ],
    )
    def test_what_looks_like_a_credential_is_taken_out(self, text, clean):
        assert redact(text) == clean

    def test_a_message_about_a_secret_names_fields_only(self, serve, connect_to):
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": "default"},
            "stringData": {"k": "hunter2"},
        }
        status = a_status(
            422,
            "Invalid",
            'Secret "s" is invalid: data[k]: Invalid value: "hunter2"',
            name="s",
            causes=[{"field": "data[k]", "message": 'Invalid value: "hunter2"'}],
        )
        writer = connect_to(serve(Answer(status, 422))).writer()

        assert writer.create(secret, "m") == Failed(Reason.INVALID, "Invalid: data[k]")
        assert Ref(SECRET, "default", "s")  # the reader hides as much:
        reader = connect_to(serve(Answer(status, 422))).reader()
        assert reader.get(Ref(SECRET, "default", "s")).message == "Invalid: data[k]"

    def test_a_long_message_is_cut(self):
        assert len(redact("x" * 5000)) == MESSAGE_CHARS_MAX


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
STATUSES = st.fixed_dictionaries(
    {"kind": st.just("Status")},
    optional={
        "message": JSON,
        "reason": JSON,
        "details": JSON
        | st.fixed_dictionaries({}, optional={"causes": JSON, "retryAfterSeconds": JSON}),
    },
)


@settings(deadline=None)  # a busy machine is no failure
@given(
    code=st.integers(200, 599),
    body=st.binary(max_size=40) | st.one_of(STATUSES, JSON).map(lambda v: json.dumps(v).encode()),
    retry_after=st.none() | st.text(st.characters(codec="ascii"), max_size=12),
    confidential=st.booleans(),
)
def test_no_answer_raises(code, body, retry_after, confidential):
    response = requests.Response()
    response.status_code = code
    response._content = body
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after

    assert isinstance(outcome_of(response, confidential=confidential), Ok | Failed)
