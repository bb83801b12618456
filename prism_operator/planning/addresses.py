"""Which addresses health checks refuse, so that a PrismBackend is no way into what is guarded."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Where clouds serve credentials to their machines beside 169.254.169.254, which is link-local.
_METADATA: Final = tuple(map(ip_network, ("fd00:ec2::254/128", "100.100.100.200/32")))
_NAT64: Final = IPv6Network("64:ff9b::/96")


def why_refused(address: str, denied: Sequence[Network] = ()) -> str | None:
    """Why no connection is made to an address that a name was resolved to; None if one may be.

    It judges addresses, never names: connect to the very address that was judged, since the name
    may be another's a moment later.
    """
    for ip in _meanings(ip_address(address)):
        if ip.is_link_local:
            return "a link-local address"
        if ip.is_unspecified or ip.is_multicast:
            return "no address of a server"
        if _is_in(ip, _METADATA):
            return "a cloud's metadata address"
        if _is_in(ip, denied):
            return "denied by --denied-cidrs"
    return None


def _meanings(ip: Address) -> Sequence[Address]:
    """The address, and the IPv4 address that connecting to it would reach."""
    if isinstance(ip, IPv4Address):
        return (ip,)
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and ip in _NAT64:
        inner = IPv4Address(int(ip) & 0xFFFFFFFF)
    return (ip,) if inner is None else (ip, inner)


def _is_in(ip: Address, networks: Sequence[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
