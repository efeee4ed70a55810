"""What is forwarded: nothing without an open device and a grant, and nothing past the grant."""

import socket
from collections.abc import Iterator

import pytest

from tests.lab.lab import WAN4, Lab, device4, device_mac, server4, server6, wait_until
from tests.lab.router import Router, router, slot
from tests.lab.traffic import UDP4, udp_echo, udp_socket
from tripgate.core import marks
from tripgate.core.kernelreading import Count

SIZE = 1000
PACKET = SIZE + UDP4


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with router(lab) as made:
        yield made


@pytest.fixture
def client(lab: Lab) -> Iterator[socket.socket]:
    """A socket of device 1; what it sends to port 9 of its server stays unanswered there."""
    sink = udp_socket(lab, lab.server, server4(1), 9)
    with sink, udp_socket(lab, lab.device(1), device4(1)) as made:
        yield made


def _send(client: socket.socket, packets: int, port: int = 9) -> None:
    for _ in range(packets):
        client.sendto(bytes(SIZE), (server4(1), port))


def _up(gateway: Router) -> int:
    return gateway.look().table.slots.get(slot(1), Count()).up


@pytest.mark.parametrize("address", [server4(1), server6(1)])
def test_an_unknown_device_forwards_nothing(lab: Lab, gateway: Router, address: str) -> None:
    lab.run(lab.device(1), ["ping", "-q", "-c", "2", "-W", "1", "-i", "0.1", address], check=False)
    assert lab.truth(address).total == 0


def test_an_open_device_without_a_grant_forwards_nothing(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.table.open_device(slot(1), [device_mac(1)])
    _send(client, 3)
    assert lab.truth(server4(1)).total == 0


def test_a_grant_to_a_closed_device_forwards_nothing(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.table.set_macs(slot(1), [device_mac(1)])
    gateway.table.grant(slot(1), 100 * PACKET)
    _send(client, 3)
    assert lab.truth(server4(1)).total == 0


def test_a_quota_cuts_an_upload_exactly(lab: Lab, gateway: Router, client: socket.socket) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 20)
    assert lab.truth(server4(1)).up == 5 * PACKET


def test_a_packet_that_does_not_fit_is_not_sent(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=5 * PACKET - 1)
    _send(client, 20)
    assert lab.truth(server4(1)).up == 4 * PACKET


def test_a_spent_slot_is_told(gateway: Router, client: socket.socket) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 6)
    assert gateway.look().table.spent == {slot(1)}


def test_hammering_a_spent_quota_takes_nothing_from_the_next_grant(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 50)
    gateway.table.grant(slot(1), 8 * PACKET)
    _send(client, 50)
    assert lab.truth(server4(1)).up == 8 * PACKET


def test_a_grant_in_mid_flow_is_raised_by_the_difference(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 3)
    gateway.table.grant(slot(1), 8 * PACKET)
    _send(client, 20)
    assert lab.truth(server4(1)).up == 8 * PACKET


def test_the_same_grant_again_changes_nothing(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    for _ in range(3):
        gateway.open(1, forwarded=5 * PACKET)
        _send(client, 4)
    assert lab.truth(server4(1)).up == 5 * PACKET


def test_a_grant_taken_back_cuts_at_what_is_left(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=50 * PACKET)
    _send(client, 3)
    gateway.table.grant(slot(1), 4 * PACKET)
    _send(client, 20)
    assert lab.truth(server4(1)).up == 4 * PACKET


def test_both_directions_use_the_quota(lab: Lab, gateway: Router, client: socket.socket) -> None:
    gateway.open(1, forwarded=8 * PACKET)
    with udp_echo(lab, server4(1)) as echo:
        for _ in range(4):
            _send(client, 1, echo.port)
            client.recv(2000)
        _send(client, 1, echo.port)
    assert lab.truth(server4(1)).total == 8 * PACKET


def test_a_download_past_the_quota_is_not_delivered_and_is_counted(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=4 * PACKET)
    with udp_echo(lab, server4(1), times=10) as echo:
        _send(client, 1, echo.port)
        for _ in range(3):
            client.recv(2000)
        wait_until(lambda: lab.truth(server4(1)).down == 10 * PACKET, "ten answers sent")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(2000)
    counted = gateway.look().table
    assert counted.slots[slot(1)].down == 10 * PACKET
    assert counted.forwarded[slot(1)] == 11 * PACKET


def test_a_closed_device_is_cut_in_mid_flow(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1)
    _send(client, 3)
    gateway.table.close_device(slot(1))
    _send(client, 3)
    assert lab.truth(server4(1)).up == 3 * PACKET


def test_a_closed_claim_on_an_open_address_closes_it(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1)
    gateway.table.set_macs(slot(2), [device_mac(1)])
    _send(client, 3)
    assert lab.truth(server4(1)).total == 0


def test_what_the_uplink_sends_unasked_is_not_delivered(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1)
    lab.run(lab.carrier, ["ip", "route", "add", "10.77.0.0/24", "via", f"{WAN4}.2"])
    with udp_socket(lab, lab.carrier, f"{WAN4}.1") as carrier:
        carrier.sendto(b"unasked", client.getsockname())
        carrier.sendto(b"counted", (f"{WAN4}.2", 9))  # it went before this one
    wait_until(lambda: gateway.look().table.slots[marks.NOBODY].down >= 2 * 35, "both arrived")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(2000)


def test_one_devices_quota_is_not_anothers(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=0)
    gateway.open(2)
    _send(client, 5)
    lab.run(lab.device(2), ["ping", "-q", "-c", "1", "-W", "1", server4(2)])
    assert lab.truth(server4(1)).total == 0


def test_a_quota_outlives_the_program(lab: Lab, gateway: Router, client: socket.socket) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 3)
    gateway.table.nft.close()
    _send(client, 20)
    assert lab.truth(server4(1)).up == 5 * PACKET


def test_a_new_program_goes_on_with_the_old_ones_count(
    lab: Lab, gateway: Router, client: socket.socket
) -> None:
    gateway.open(1, forwarded=5 * PACKET)
    _send(client, 3)
    with router(lab) as later:
        later.open(1, forwarded=7 * PACKET)
        _send(client, 20)
        assert (_up(later), lab.truth(server4(1)).up) == (7 * PACKET, 7 * PACKET)
