from ipaddress import ip_network

import pytest

from prism_operator.planning.addresses import why_refused


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_link_local_addresses_are_refused_in_every_guise(address: str) -> None:
    assert why_refused(address) == "a link-local address"


@pytest.mark.parametrize("address", ["fd00:ec2::254", "100.100.100.200", "::ffff:100.100.100.200"])
def test_metadata_addresses_that_are_not_link_local_are_refused(address: str) -> None:
    assert why_refused(address) == "a cloud's metadata address"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1"])  # noqa: S104 - refused
def test_addresses_of_no_server_are_refused(address: str) -> None:
    assert why_refused(address) is not None


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_denied_cidrs_hold_for_every_guise_of_an_address(address: str) -> None:
    assert why_refused(address, [ip_network("10.0.0.0/8")]) == "denied by --denied-cidrs"


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "fd00::1", "8.8.8.8"])
def test_other_addresses_may_be_connected_to(address: str) -> None:
    assert why_refused(address, [ip_network("10.9.0.0/16"), ip_network("fd01::/16")]) is None
