"""Who is on the LAN."""

from ipaddress import ip_address

import pytest

from tripgate.core.leasefile import DhcpLease
from tripgate.core.presence import (
    ADDRESSES_MOST,
    MACS_MOST,
    Appeared,
    Conflict,
    Gained,
    Gone,
    Lost,
    Moved,
    Presence,
)

A, B = "06:00:00:00:00:0a", "06:00:00:00:00:0b"
V4, OTHER, V6 = (ip_address(text) for text in ("10.77.0.5", "10.77.0.6", "fd77::5"))


def lease(mac: str, address=V4, name: str | None = None):
    return {address: DhcpLease(mac, address, name)}


def mac(number: int) -> str:
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def test_a_neighbour_that_nobody_knew_appears_with_its_address() -> None:
    assert Presence().neighbour(V4, A, 0) == [Appeared(A), Gained(A, V4)]


def test_a_device_has_addresses_of_both_families() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    lan.neighbour(V6, A, 0)
    assert set(lan.hosts[A].addresses) == {V4, V6}


def test_the_same_again_changes_nothing_but_when_it_was_seen() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    assert lan.neighbour(V4, A, 7) == []
    assert lan.hosts[A].last_seen == 7


def test_a_stale_neighbour_was_not_seen_again() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    lan.neighbours({V4: A}, 7)
    assert lan.hosts[A].last_seen == 0
    lan.neighbours({V4: A}, 8, {V4})
    assert lan.hosts[A].last_seen == 8


def test_an_address_that_goes_to_another_mac_has_moved() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    assert lan.neighbour(V4, B, 1) == [Appeared(B), Moved(V4, A, B), Gone(A)]
    assert lan.owner(V4) == B


def test_an_address_leased_anew_to_another_mac_has_moved() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    lan.neighbour(V4, A, 0)
    assert lan.leases(lease(B), 1) == [Appeared(B), Moved(V4, A, B), Gone(A)]


def test_a_mac_that_claims_a_leased_address_gets_nothing_by_it() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    assert lan.neighbour(V4, B, 1) == [Conflict(V4, A, B)]
    assert (lan.owner(V4), B in lan.hosts) == (None, False)
    lan.neighbour(V4, A, 2)
    assert lan.owner(V4) == A


def test_a_conflict_is_told_once() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    lan.neighbour(V4, B, 1)
    assert lan.neighbour(V4, B, 2) == []


def test_a_lease_that_ends_leaves_the_address_to_whom_the_neighbour_table_names() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    lan.neighbour(V4, B, 1)
    assert lan.leases({}, 2) == [Appeared(B), Moved(V4, A, B), Gone(A)]


def test_a_device_is_gone_with_its_last_address() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    lan.neighbour(V6, A, 0)
    assert lan.neighbour_gone(V4, 1) == [Lost(A, V4)]
    assert lan.neighbour_gone(V6, 1) == [Lost(A, V6), Gone(A)]


def test_a_device_that_sleeps_keeps_its_leased_address() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    lan.neighbour(V4, A, 0)
    assert lan.neighbour_gone(V4, 1) == []
    assert lan.owner(V4) == A


def test_the_whole_table_takes_away_what_it_does_not_name() -> None:
    lan = Presence()
    lan.neighbour(V4, A, 0)
    assert lan.neighbours({OTHER: A}, 1) == [Lost(A, V4), Gone(A), Appeared(A), Gained(A, OTHER)]


def test_a_device_keeps_the_last_name_that_it_gave() -> None:
    lan = Presence()
    lan.leases(lease(A, name="phone"), 0)
    lan.leases(lease(A), 1)
    assert lan.hosts[A].hostname == "phone"


@pytest.mark.parametrize("text", ["224.0.0.1", "0.0.0.0", "127.0.0.1", "ff02::1", "::", "::1"])
def test_an_address_that_is_no_host_s_is_nobody_s(text: str) -> None:
    assert Presence().neighbour(ip_address(text), A, 0) == []


def test_too_many_macs_displace_the_one_seen_longest_ago() -> None:
    lan = Presence()
    for number in range(MACS_MOST):
        lan.neighbour(ip_address(number + 0x0A000000), mac(number), number)
    lan.neighbour(ip_address(0x0A000000), mac(0), MACS_MOST)
    lan.neighbour(ip_address("10.99.0.1"), A, MACS_MOST + 1)
    assert len(lan.hosts) == MACS_MOST
    assert mac(0) in lan.hosts
    assert mac(1) not in lan.hosts


def test_a_device_that_the_gateway_knows_is_never_displaced() -> None:
    lan = Presence()
    lan.pin([mac(0)])
    for number in range(MACS_MOST + 1):
        lan.neighbour(ip_address(number + 0x0A000000), mac(number), number)
    assert mac(0) in lan.hosts
    assert mac(1) not in lan.hosts


def test_without_room_a_new_mac_is_not_taken_in() -> None:
    lan = Presence()
    lan.pin(mac(number) for number in range(MACS_MOST))
    for number in range(MACS_MOST):
        lan.neighbour(ip_address(number + 0x0A000000), mac(number), number)
    assert lan.neighbour(ip_address("10.99.0.1"), A, 9999) == []
    assert lan.owner(ip_address("10.99.0.1")) is None


def test_too_many_addresses_of_a_device_displace_its_oldest() -> None:
    lan = Presence()
    addresses = [ip_address(f"fd77::{number:x}") for number in range(1, ADDRESSES_MOST + 2)]
    changes = [change for address in addresses for change in lan.neighbour(address, A, 0)]
    assert changes[-1] == Lost(A, addresses[0])
    assert len(lan.hosts[A].addresses) == ADDRESSES_MOST


def test_a_new_mac_may_claim_the_address_of_the_one_that_made_room_for_it() -> None:
    lan = Presence()
    for number in range(MACS_MOST):
        lan.neighbour(ip_address(number + 0x0A000000), mac(number), number)
    first = ip_address(0x0A000000)
    assert lan.neighbour(first, A, MACS_MOST) == [
        Lost(mac(0), first), Gone(mac(0)), Appeared(A), Gained(A, first),
    ]  # fmt: skip
    assert lan.owner(first) == A


def test_an_address_that_two_macs_answer_for_is_nobodys_until_one_falls_silent() -> None:
    lan = Presence()
    lan.leases(lease(A), 0)
    lan.neighbour(V4, A, 0)
    lan.neighbour(V4, B, 1)
    assert lan.owner(V4) is None
    lan.neighbour_gone(V4, 2)
    assert lan.owner(V4) == A
