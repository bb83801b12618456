"""Cluster IPs and node ports of Services, handed out in order so that every run is alike.

What is filled in and what an update keeps follow ``kubernetes/pkg/registry/core/service``.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from prism_operator.api.meta import Json
from simulator.apiserver.causes import INVALID, Cause
from simulator.apiserver.statuses import internal, invalid

CLUSTER_IP_RANGE: Final = ipaddress.ip_network("10.96.0.0/12")
NODE_PORTS: Final = range(30000, 32768)
_ALLOCATED: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


class ServiceAllocator:
    """Which addresses and ports are taken, and which come next."""

    def __init__(self) -> None:
        self._ips: set[str] = set()
        self._ports: set[int] = set()
        self._next_ip = 1
        self._next_port = NODE_PORTS.start

    def fill_in(self, service: Json, live: Json | None) -> Json:
        """``service`` with its addresses and ports; they are taken only by ``commit``.

        Raises:
            ApiError: 422, it names an address or port that it cannot have.
        """
        spec = dict(service.get("spec") or {})
        before = (live or {}).get("spec") or {}
        if live is None and spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        if spec.get("type", "ClusterIP") == "ExternalName":
            for name in _ALLOCATED:
                # An update need not repeat that the address goes.
                if spec.get(name) == before.get(name):
                    spec.pop(name, None)
        else:
            self._fill_in_address(service, spec, before)
        if "ports" in spec:
            spec["ports"] = self._ports_of(service, spec, before)
        return {**service, "spec": spec}

    def commit(self, old: Json | None, new: Json | None) -> None:
        """Frees what ``old`` held and takes what ``new`` holds."""
        for service, change in ((old, "difference_update"), (new, "update")):
            if service is not None:
                getattr(self._ips, change)(_addresses(service["spec"]))
                getattr(self._ports, change)(_node_ports(service["spec"]))

    def _fill_in_address(self, service: Json, spec: Json, before: Json) -> None:
        had_address = before.get("type", "ClusterIP") != "ExternalName"
        if before and had_address:
            # Left out is kept.
            spec["clusterIP"] = spec.get("clusterIP") or before["clusterIP"]
            spec["clusterIPs"] = spec.get("clusterIPs") or before["clusterIPs"]
        address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if not address:
            address = self._free_ip()
        elif address != "None":
            _require_ip(service, address)
            # An address that was set cannot change; validation says so.
            if not (before and had_address):
                self._require_free(service, address)
        spec["clusterIP"] = address
        if not spec.get("clusterIPs") or (spec["clusterIPs"] == before.get("clusterIPs")):
            spec["clusterIPs"] = [address]
        if address == "None" and not spec.get("selector"):
            spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
            spec.setdefault("ipFamilyPolicy", "RequireDualStack")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _ports_of(self, service: Json, spec: Json, before: Json) -> list[Any]:
        kind = spec.get("type", "ClusterIP")
        wants = kind == "NodePort" or (
            kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
        )
        had = {
            port.get("name", ""): port["nodePort"]
            for port in before.get("ports") or ()
            if port.get("nodePort")
        }
        chosen = set(had.values()) & set(_node_ports(spec))
        ports = []
        for position, port in enumerate(spec["ports"] or ()):
            number = port.get("nodePort")
            if not wants:
                if number and number in had.values():
                    port = {key: value for key, value in port.items() if key != "nodePort"}
                ports.append(port)
                continue
            if not number:
                number = had.get(port.get("name", ""))
                if number is None or number in chosen:
                    number = self._free_port(chosen)
            elif number not in had.values() and number in self._ports:
                field = f"spec.ports[{position}].nodePort"
                message = f"Invalid value: {number}: provided port is already allocated"
                raise invalid("", "Service", _name(service), [Cause(INVALID, message, field)])
            chosen.add(number)
            ports.append({**port, "nodePort": number})
        return ports

    def _free_ip(self) -> str:
        size = CLUSTER_IP_RANGE.num_addresses
        for offset in range(size):
            number = (self._next_ip + offset) % size
            address = str(CLUSTER_IP_RANGE[number])
            # The network's own address and the broadcast address are never given.
            if 0 < number < size - 1 and address not in self._ips:
                self._next_ip = number + 1
                return address
        raise internal("failed to allocate a serviceIP: range is full")

    def _free_port(self, chosen: set[int]) -> int:
        for offset in range(len(NODE_PORTS)):
            port = NODE_PORTS[(self._next_port - NODE_PORTS.start + offset) % len(NODE_PORTS)]
            if port not in self._ports and port not in chosen:
                self._next_port = port + 1
                return port
        raise internal("failed to allocate a nodePort: range is full")

    def _require_free(self, service: Json, address: str) -> None:
        if ipaddress.ip_address(address) not in CLUSTER_IP_RANGE:
            why = "the provided network does not match the current range"
        elif address in self._ips:
            why = "provided IP is already allocated"
        else:
            return
        message = f'Invalid value: ["{address}"]: failed to allocate IP {address}: {why}'
        raise invalid("", "Service", _name(service), [Cause(INVALID, message, "spec.clusterIPs")])


def _addresses(spec: Json) -> list[str]:
    return [address for address in spec.get("clusterIPs") or () if address != "None"]


def _node_ports(spec: Json) -> list[int]:
    return [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]


def _name(service: Json) -> str:
    return str(service["metadata"].get("name", ""))


def _require_ip(service: Json, address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        message = (
            f'Invalid value: "{address}": must be a valid IP address, (e.g. 10.9.8.7 or'
            " 2001:db8::ffff)"
        )
        cause = Cause(INVALID, message, "spec.clusterIPs[0]")
        raise invalid("", "Service", _name(service), [cause]) from None
