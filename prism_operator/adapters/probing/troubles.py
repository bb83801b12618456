"""What an exception of a network, of TLS or of a client means. Its text goes no further."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from asyncio import IncompleteReadError
from collections.abc import Iterator
from typing import Final

from prism_operator.adapters.probing.loop import AddressDeniedError
from prism_operator.adapters.probing.peer import ProbeError
from prism_operator.planning.checks import (
    ADDRESS,
    LOST,
    NAME,
    NO_ROUTE,
    PROTOCOL,
    REFUSED,
    TIMEOUT,
    TLS,
    TLS_CLIENT,
    TLS_EXPIRED,
    TLS_NAME,
    TLS_UNTRUSTED,
    Trouble,
)

# X509_V_ERR_*: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_VERIFICATION: Final = {
    **dict.fromkeys((9, 10), TLS_EXPIRED),
    **dict.fromkeys((62, 64), TLS_NAME),
    **dict.fromkeys((2, 18, 19, 20, 21), TLS_UNTRUSTED),
}
# Alerts by which a server says what it thinks of our certificate.
_CLIENT_ALERT: Final = re.compile(
    r"ALERT_(BAD_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)"
    r"|ALERT_HANDSHAKE_FAILURE|ALERT_ACCESS_DENIED"
)
_ERRNO: Final = {
    errno.ECONNREFUSED: REFUSED,
    errno.ETIMEDOUT: TIMEOUT,
    **dict.fromkeys((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL), NO_ROUTE),
    **dict.fromkeys((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED), LOST),
}
_ERRNO_IN_TEXT: Final = re.compile(r"\[Errno (\d+)\]")


def trouble_of(error: BaseException) -> Trouble:
    """The most telling trouble among an exception and those behind it."""
    return next((t for e in _with_causes(error) if (t := _meaning(e)) is not None), PROTOCOL)


def _meaning(error: BaseException) -> Trouble | None:
    match error:
        case ProbeError():
            return error.trouble
        case AddressDeniedError():
            return ADDRESS
        case ssl.SSLCertVerificationError():
            return _VERIFICATION.get(error.verify_code, TLS)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return LOST
        case ssl.SSLError():
            return TLS_CLIENT if _CLIENT_ALERT.search(error.reason or "") else TLS
        case socket.gaierror():
            return NAME
        case TimeoutError():
            return TIMEOUT
        case ConnectionRefusedError():
            return REFUSED
        case IncompleteReadError() | EOFError() | ConnectionResetError() | BrokenPipeError():
            return LOST
        case OSError():
            # Of several addresses asyncio tells only in a text what became of each.
            numbers = [error.errno, *map(int, _ERRNO_IN_TEXT.findall(str(error)))]
            return next((_ERRNO[n] for n in numbers if n in _ERRNO), None)
        case _:
            return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        behind = (current.__cause__, current.__context__, *getattr(current, "args", ()))
        waiting += [e for e in behind if isinstance(e, BaseException)]
