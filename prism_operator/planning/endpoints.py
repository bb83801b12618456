"""Where a backend listens, read from its URL, which no message repeats: it may hold a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "nats": 4222,
    "kafka": 9092,
    "redis": 6379,
    "postgres": 5432,
    "rabbitmq": 5672,
    "sqs": 443,
}
_PORT_BY_SCHEME: Final[Mapping[str, int]] = {"amqps": 5671, "http": 80, "https": 443}
_TLS_SCHEMES: Final = frozenset({"amqps", "https", "rediss", "tls"})
_URL: Final = re.compile(
    r"(?:(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://)?"
    r"(?:(?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?"
)
_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.%]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
)
_HOSTS_MAX: Final = 16


class MalformedUrlError(ValueError):
    """A URL that leads nowhere; the message says why and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Host names or addresses with ports, any of which will do, and what stands in the URL."""

    hosts: tuple[tuple[str, int], ...]
    path: str = ""  # the database, virtual host or queue
    tls: bool = False  # the scheme asks for it
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The hosts as people write them."""
        return ", ".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)


def endpoint_of(url: str, provider: str) -> Endpoint:
    """The endpoint that a URL names. Raises MalformedUrlError."""
    found = _URL.fullmatch(url.strip())
    if found is None:
        raise MalformedUrlError("the URL is not of the form scheme://host:port/path")
    scheme = (found["scheme"] or "").lower()
    default = _PORT_BY_SCHEME.get(scheme) or DEFAULT_PORTS.get(provider)
    user, _, password = (found["user"] or "").partition(":")
    # Some list user information with each host, as in nats://u:p@a,nats://u:p@b.
    if "://" in (found["path"] or ""):
        raise MalformedUrlError(
            "the URL holds several: give the hosts once, as in scheme://a:1,b:2"
        )
    listed = found["hosts"].split(",")
    if len(listed) > _HOSTS_MAX:
        raise MalformedUrlError(f"the URL has more than {_HOSTS_MAX} hosts")
    return Endpoint(
        hosts=tuple(_host(text, default) for text in listed),
        path=unquote((found["path"] or "").removeprefix("/")),
        tls=scheme in _TLS_SCHEMES,
        username=unquote(user) or None,
        password=unquote(password) or None,
    )


def _host(text: str, default: int | None) -> tuple[str, int]:
    found = _HOST.fullmatch(text.strip())
    if found is None:
        raise MalformedUrlError("the URL's host is not a name or address, with a port behind it")
    if found["port"] is None and default is None:
        raise MalformedUrlError("the URL names no port, and this provider has none of its own")
    port = int(found["port"]) if found["port"] else default or 0
    if not 1 <= port <= 65535:
        raise MalformedUrlError("the URL's port is not between 1 and 65535")
    return found["v6"] or found["name"], port
