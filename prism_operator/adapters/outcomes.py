"""The one place that turns answers and exceptions into ``Ok | Failed``.

A ``Failed`` message quotes only a Kubernetes ``Status``, shortened and without anything that looks
like a credential. Of any other body (an HTML page of a proxy, say) only type and length are told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests
import urllib3.exceptions

from prism_operator.adapters.errors import ConnectError
from prism_operator.api.meta import Json
from prism_operator.ports import Failed, Ok, Outcome, Reason

MESSAGE_CHARS_MAX = 1000
_SECRET_PATTERNS = (
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),  # user information of a URL
    re.compile(r"(?i)(?<=bearer )\S+|(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"-----BEGIN [^-]*-----.*?(-----END [^-]*-----|$)", re.DOTALL),
)
_REASON_BY_CODE = {
    401: Reason.UNAUTHORIZED,
    403: Reason.FORBIDDEN,
    408: Reason.TRANSIENT,
    409: Reason.CONFLICT,
    410: Reason.GONE,
    429: Reason.THROTTLED,
}


def outcome_of(response: requests.Response, *, confidential: bool = False) -> Outcome:
    """What an answer means. ``confidential``: it is about a Secret, so quote no values."""
    body = _json_object(response)
    code = response.status_code
    if 200 <= code < 300:
        if body is None:
            what = _describe_body(response)
            return Failed(Reason.TRANSIENT, f"HTTP {code} with {what} where JSON was expected")
        return Ok(body)
    retry_after_s = _retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
    if body is None or body.get("kind") != "Status":
        text = f"HTTP {code} with {_describe_body(response)}"
        if location := response.headers.get("Location"):
            text += f", redirecting to {redact(location)}"
        if code == 404:
            text = "the server does not serve this resource (HTTP 404)"
        return Failed(_reason_of(code, {}, retry_after_s), text, retry_after_s)
    return failure_of_status(body, code, retry_after_s=retry_after_s, confidential=confidential)


def failure_of_status(
    status: Json, code: int, *, retry_after_s: float | None = None, confidential: bool = False
) -> Failed:
    """What a Kubernetes ``Status`` means, from an answer or from the ERROR event of a watch."""
    wait_s = _details(status).get("retryAfterSeconds")
    if retry_after_s is None and isinstance(wait_s, int) and wait_s > 0:
        retry_after_s = float(wait_s)
    message = str(status.get("message") or status.get("reason") or f"HTTP {code}")
    if confidential:
        reason = str(status.get("reason") or f"HTTP {code}")
        message = ": ".join([reason, ", ".join(_fields(status))]).removesuffix(": ")
    return Failed(_reason_of(code, status, retry_after_s), redact(message), retry_after_s)


def failure_of_error(error: Exception, subject: str = "") -> Failed:
    """What an exception means, from the HTTP library or from our own credentials."""
    prefix = f"{subject}: " if subject else ""
    if isinstance(error, ConnectError):
        return Failed(Reason.UNAUTHORIZED, redact(f"{prefix}{error}"))
    return Failed(Reason.TRANSIENT, redact(f"{prefix}{explain(error)}"))


def explain(error: BaseException) -> str:
    """The innermost cause of a network error, in words."""
    if isinstance(error, requests.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return "no answer in time"
    inner: Any = error
    for _ in range(10):
        candidates = (getattr(inner, "reason", None), *inner.args, inner.__cause__)
        deeper = next((c for c in candidates if isinstance(c, BaseException)), None)
        if deeper is None or deeper is inner:
            break
        inner = deeper
    if isinstance(inner, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(inner, OSError) and inner.strerror:
        return str(inner.strerror)
    return str(inner) or type(inner).__name__


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """The text on one line, shortened, without ``secrets`` and what looks like one."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "[redacted]")
    for pattern in _SECRET_PATTERNS:
        text = pattern.sub("[redacted]", text)
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_CHARS_MAX else text[: MESSAGE_CHARS_MAX - 1] + "…"


def _reason_of(code: int, status: Json, retry_after_s: float | None) -> Reason:
    message = str(status.get("message", ""))
    if code == 404:
        # Of an absent object the server tells the name; of a resource it does not serve it cannot.
        return Reason.NOT_FOUND if _details(status).get("name") else Reason.NO_KIND
    if code == 409 and status.get("reason") == "AlreadyExists":
        return Reason.ALREADY_EXISTS
    if code == 409 and "UID in" in message:  # … in (the) precondition, … in object meta / record
        return Reason.UID_MISMATCH
    if code == 422 and "metadata.uid" in _fields(status):
        return Reason.UID_MISMATCH
    if code == 403 and Reason.TERMINATING.value in _causes(status, "reason"):
        return Reason.TERMINATING
    if code == 503 and retry_after_s is not None:
        return Reason.THROTTLED
    if code in _REASON_BY_CODE:
        return _REASON_BY_CODE[code]
    return Reason.TRANSIENT if code >= 500 else Reason.INVALID


def _details(status: Json) -> Json:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _fields(status: Json) -> list[str]:
    """The fields that the causes of a Status name."""
    return _causes(status, "field")


def _causes(status: Json, what: str) -> list[str]:
    causes = _details(status).get("causes")
    found = causes if isinstance(causes, list) else []
    return [str(cause[what]) for cause in found if isinstance(cause, dict) and what in cause]


def _json_object(response: requests.Response) -> Json | None:
    """The body when it is a JSON object, whatever its content type says, or if it has none."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _describe_body(response: requests.Response) -> str:
    kind = response.headers.get("Content-Type", "").partition(";")[0] or "no content type"
    return f"a body of {len(response.content)} bytes ({kind})" if response.content else "no body"


def _retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds from a ``Retry-After`` header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())
