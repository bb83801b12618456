"""SQS: asks for a queue's attributes, or for any queue where the URL names none.

With the credentials of the backend's Secret only: those of the operator's own pod are not for
everybody who may create a backend. Without any, an answer of the service is all that is asked for.
botocore signs; the request goes by asyncio, so that it connects only where checks may go.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.planning.checks import AUTHENTICATION, NOT_FOUND, NOT_SERVING, PROTOCOL

_REGION: Final = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_DEFAULT_REGION: Final = "us-east-1"
_MISSING: Final = ("NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_STATUS: Final = re.compile(rb"HTTP/1\.\d (\d{3})")
_ANSWER_BYTES_MAX: Final = 64 * 1024


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    action: str = "ListQueues"
    asked: dict[str, Any] = {"MaxResults": 1}
    if peer.path:
        action, asked = "GetQueueAttributes", {"QueueUrl": _url(peer), "AttributeNames": ["All"]}
    request = AWSRequest(
        method="POST",
        url=_url(peer, path=""),
        data=json.dumps(asked),
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{action}",
        },
    )
    if peer.username is not None:
        credentials = Credentials(peer.username, peer.password or "")
        SigV4Auth(credentials, "sqs", _region(peer.host)).add_auth(request)
    _judge(*await _exchange(peer, request), with_credentials=peer.username is not None)


def _judge(status: int, error: str, *, with_credentials: bool) -> None:
    if status == 200:
        return
    if any(word in error for word in _MISSING):
        raise ProbeError(NOT_FOUND)
    if status >= 500:
        raise ProbeError(NOT_SERVING)
    if not error:
        raise ProbeError(PROTOCOL)
    if with_credentials:
        raise ProbeError(AUTHENTICATION)


async def _exchange(peer: Peer, request: AWSRequest) -> tuple[int, str]:
    """The status of the answer, and the type of error it tells of."""
    reader, writer = await asyncio.open_connection(peer.host, peer.port, ssl=peer.tls)
    try:
        body = request.data.encode()
        headers = {**request.headers, "Host": _authority(peer), "Connection": "close"}
        headers["Content-Length"] = str(len(body))
        lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        answer = await reader.read(_ANSWER_BYTES_MAX)
        while found := await reader.read(_ANSWER_BYTES_MAX - len(answer)):
            answer += found
    finally:
        writer.transport.abort()
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None:
        raise ProbeError(PROTOCOL)
    told = re.search(rb'"__type"\s*:\s*"([^"]*)"|<Code>([^<]*)</Code>', rest)
    return int(status[1]), (told[1] or told[2]).decode(errors="replace") if told else ""


def _authority(peer: Peer) -> str:
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    default = 80 if peer.tls is None else 443
    return host if peer.port == default else f"{host}:{peer.port}"


def _url(peer: Peer, path: str | None = None) -> str:
    scheme = "http" if peer.tls is None else "https"
    return f"{scheme}://{_authority(peer)}/{peer.path if path is None else path}"


def _region(host: str) -> str:
    found = _REGION.search(host)
    return found[1] if found else _DEFAULT_REGION
