"""The in-memory server behind ``requests``, so that HTTP clients talk to it in process.

A watch answers with what is pending, and ends: its client watches again from there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import yaml
from requests import PreparedRequest
from requests import Response as HttpResponse
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse

from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.watch import Subscription

_YAML: Final = ("application/yaml", "application/apply-patch+yaml")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class InProcessAdapter(BaseAdapter):
    """A ``requests`` transport to an ``ApiServer``.

    Use it as ``pykube.HTTPClient(config, http_adapter=InProcessAdapter(server))``, or mount it on a
    session for the URL of the cluster. ``user`` is who the requests come from.
    """

    def __init__(self, server: ApiServer, user: str = "system:admin") -> None:
        super().__init__()
        self._server = server
        self._user = user

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Answers at once; nothing is ever sent."""
        del timeout, verify, cert, proxies
        url = urlsplit(request.url or "")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        headers = dict(request.headers)
        body = _decoded(request.body, headers.get("Content-Type", ""))
        method = request.method or "GET"
        answer = self._server.handle(Request(method, url.path, query, headers, body, self._user))
        return _http(answer, request, stream=stream)

    def close(self) -> None:
        """Nothing is open."""


def _decoded(body: Any, content_type: str) -> Any:
    """JSON or YAML as a value; bytes that are neither as they are."""
    if not body:
        return None
    data = body if isinstance(body, bytes) else str(body).encode()
    try:
        if content_type.split(";")[0].strip() in _YAML and data[:1] != b"{":
            return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader, in C if there is one
        return json.loads(data)
    except (ValueError, yaml.YAMLError):
        return data


def _http(answer: Response, request: PreparedRequest, *, stream: bool) -> HttpResponse:
    response = HttpResponse()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response.request = request
    response.url = request.url or ""
    response.encoding = "utf-8"
    raw = HTTPResponse(
        body=io.BytesIO(_encoded(answer)),
        headers=HTTPHeaderDict(answer.headers),
        status=answer.status,
        preload_content=False,
    )
    response.raw = raw
    if not stream:
        response.content  # noqa: B018 - reads the body now, as a real adapter's caller does
    return response


def _encoded(answer: Response) -> bytes:
    body = answer.body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Subscription):
        return b"".join(json.dumps(event.as_json()).encode() + b"\n" for event in body.poll())
    return json.dumps(body).encode()
