"""The lab itself: what its counters say is what crossed the wire."""

import json
import subprocess
from pathlib import Path

from tests.lab.lab import LAN4, Lab, device4, needs_lab, server4, server6

THREAD = Path("/proc/thread-self/ns/net")
PING = 1028  # IPv4: 20 of IP, 8 of ICMP, 1000 of data
PING6 = 1048


def _forwarding(lab: Lab) -> None:
    """The gateway as a plain router, without translation."""
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.sysctl(lab.gateway, name, "1")
    nat = "table inet nat { chain post { type nat hook postrouting priority 100;"
    nat += ' oifname "wan0" masquerade; }; }'
    lab.run(lab.gateway, ["nft", "-f", "-"], stdin=nat)


def _ping(lab: Lab, device: int, address: str) -> int:
    argv = ["ping", "-q", "-c", "3", "-i", "0.01", "-W", "1", "-s", "1000", address]
    return lab.run(lab.device(device), argv, check=False).returncode


def test_a_device_reaches_the_gateway(lab: Lab) -> None:
    assert _ping(lab, 1, f"{LAN4}.1") == 0


def test_a_device_reaches_another(lab: Lab) -> None:
    assert _ping(lab, 1, device4(2)) == 0


def test_the_gateway_forwards_nothing_by_itself(lab: Lab) -> None:
    assert _ping(lab, 1, server4(1)) != 0
    assert lab.truth(server4(1)).total == 0


def test_each_device_is_counted_by_its_server_address(lab: Lab) -> None:
    _forwarding(lab)
    assert (_ping(lab, 1, server4(1)), _ping(lab, 2, server6(2))) == (0, 0)
    counted = [lab.truth(server4(1)), lab.truth(server6(2)), lab.truth(server4(2))]
    assert [(c.up, c.down) for c in counted] == [(3 * PING,) * 2, (3 * PING6,) * 2, (0, 0)]


def test_the_wire_is_the_interface_less_link_headers_and_arp(lab: Lab) -> None:
    for namespace, link in ((lab.gateway, "wan0"), (lab.carrier, "up0")):
        lab.sysctl(namespace, f"ipv6/conf/{link}/disable_ipv6", "1")  # no MLD reports meanwhile
    _forwarding(lab)
    before = lab.wire()
    assert _ping(lab, 1, server4(1)) == 0
    moved = lab.wire() - before
    assert (moved.up, moved.down) == (3 * PING, 3 * PING)


def test_a_thread_inside_is_there_and_comes_back(lab: Lab) -> None:
    before = THREAD.readlink()
    with lab.inside(lab.device(1)):
        assert THREAD.readlink() != before
    assert THREAD.readlink() == before


def test_nothing_is_left_of_a_lab() -> None:
    lab = Lab(devices=1, prefix="tgx")
    with lab:
        process = lab.spawn(lab.device(1), ["sleep", "60"])
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert lab.name not in listed.stdout
    assert process.poll() is not None


def test_a_slow_link_takes_its_time() -> None:
    needs_lab()
    with Lab(devices=1, rtt_ms=150) as lab:
        argv = ["ping", "-c", "3", "-i", "0.2", server4(1)]
        said = lab.run(lab.carrier, argv).stdout
    fastest = float(said.rpartition("= ")[2].split("/")[0])
    assert fastest >= 150


def test_a_slow_link_carries_a_tcp_stream_whole() -> None:
    needs_lab()
    with Lab(devices=1, rtt_ms=2) as lab:
        lab.rate(lab.server, "eth0", "100mbit")
        lab.spawn(lab.server, ["iperf3", "-s", "-1", "-p", "5201"])
        lab.wait_tcp(lab.server, 5201)
        argv = ["iperf3", "-c", server4(1), "-R", "-n", "5M", "-J"]
        done = json.loads(lab.run(lab.carrier, argv).stdout)
    assert done["end"]["sum_received"]["bytes"] >= 5 * 1024 * 1024
