"""The real dnsmasq, both instances, asked by a real DHCP client and by dig."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path

import pytest

from tests.kernel.conftest import GATEWAY, GATEWAY_V6, MAC, LanWorld, wait_until
from tripgate.core.dnsmasqconf import CANARIES, CAPTIVE_PORT, Lan, Resolver
from tripgate.core.presence import Appeared, Gained
from tripgate.kernel import dnsmasq
from tripgate.kernel.children import Child
from tripgate.kernel.dnslog import DnsLog
from tripgate.kernel.lanwatch import LanWatch

LAN = Lan("lan0", IPv4Interface(f"{GATEWAY}/24"), IPv6Interface(f"{GATEWAY_V6}/64"))
UPSTREAM_PORT = 5399  # answers lie in 11/8: dnsmasq takes the test networks of RFC 5737 for private
API = "https://gate.example/captive-api"
DHCP_MAGIC = b"\x63\x82\x53\x63"
DHCLIENT_CONF = """\
option captive-portal code 114 = text;
send host-name "{name}";
request subnet-mask, routers, domain-name-servers;
"""
SCRIPT = """\
#!/bin/sh
case $reason in
BOUND) ip addr add "$new_ip_address/24" dev "$interface"; echo "$new_routers" >"$0.bound" ;;
esac
"""
Lines = list[str]


@pytest.fixture
def upstream(lan: LanWorld) -> Iterator[None]:
    """A resolver of the internet, on the gateway's loopback."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="]
    argv += ["--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces"]
    argv += [f"--port={UPSTREAM_PORT}", "--address=/site.example/11.0.2.7"]
    argv += ["--address=/evil.example/10.1.2.3", "--cname=www.site.example,cdn.example"]
    argv += ["--host-record=cdn.example,11.0.2.8", "--log-facility=-"]
    argv += [f"--address=/{name}/11.0.2.66" for name in CANARIES]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
        yield
        server.terminate()


@asynccontextmanager
async def resolver(folder: Path, lines: Lines, **change: object) -> AsyncIterator[Child]:
    told = Resolver(
        LAN,
        str(folder / "leases"),
        servers=(f"127.0.0.1#{UPSTREAM_PORT}",),
        api_url=API,
    )
    child = Child(dnsmasq.resolver(replace(told, **change), folder), folder, lines.append)
    async with running(child, lines):
        yield child


@asynccontextmanager
async def captive(folder: Path, lines: Lines) -> AsyncIterator[None]:
    async with running(
        Child(dnsmasq.captive(LAN, CAPTIVE_PORT, folder), folder, lines.append), lines
    ):
        yield


@asynccontextmanager
async def running(child: Child, lines: Lines) -> AsyncIterator[None]:
    await child.start()
    try:
        await wait_until(lambda: [line for line in lines if "cleared cache" in line])
        yield
    finally:
        await child.stop()


async def dig(lan: LanWorld, *question: str, port: int = 53) -> str:
    """Status and answers, as the device sees them."""
    argv = lan.at_device("dig", "+noall", "+comments", "+answer", "+tries=3", "+time=5")
    process = await asyncio.create_subprocess_exec(
        *argv, f"@{GATEWAY}", "-p", str(port), *question, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    lines = output.decode().split("\n")
    status = next((line for line in lines if "status:" in line), "status: none,")
    answers = [line.split()[-1] for line in lines if line and line[0] != ";"]
    return " ".join([status.partition("status: ")[2].partition(",")[0], *answers])


@pytest.fixture
def device(lan: LanWorld) -> LanWorld:
    """The device has an address set by hand."""
    lan.on_device("ip", "addr", "add", "10.77.0.77/24", "dev", "eth0")
    return lan


@asynccontextmanager
async def dhclient(lan: LanWorld, folder: Path, name: str = "Marias-Phone") -> AsyncIterator[Path]:
    """A DHCP client on the device; the file that is there once it has its lease."""
    script = folder / "bound.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    (folder / "dhclient.conf").write_text(DHCLIENT_CONF.replace("{name}", name))
    (folder / "dhclient.leases").touch()
    files = ("-cf", "dhclient.conf", "-lf", "dhclient.leases", "-pf", "dhclient.pid")
    client = await asyncio.create_subprocess_exec(
        *lan.at_device("dhclient", "-4", "-d", *files, "-sf", str(script), "eth0"),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield script.with_name("bound.sh.bound")
    finally:
        client.terminate()
        await client.wait()


def dhcp_options(packet: bytes) -> dict[int, bytes]:
    """Options of an IPv4 packet of a DHCP server (RFC 2132); empty for any other."""
    head = (packet[0] & 15) * 4
    if packet[9] != 17 or packet[head : head + 2] != b"\0\x43" or DHCP_MAGIC not in packet:
        return {}
    rest, options = packet.partition(DHCP_MAGIC)[2], {}
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return options


async def test_a_dhcp_client_is_given_an_address_and_told_that_data_is_metered(
    lan: LanWorld, tmp_path: Path
) -> None:
    answers: list[dict[int, bytes]] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as wire:
        wire.bind(("lan0", 3))  # ETH_P_ALL: what we send is seen too
        asyncio.get_running_loop().add_reader(
            wire, lambda: answers.append(dhcp_options(wire.recv(2048)))
        )
        async with resolver(tmp_path, []), dhclient(lan, tmp_path) as bound:
            await wait_until(bound.exists)
        asyncio.get_running_loop().remove_reader(wire)
    (ack, *_) = [options for options in answers if options.get(53) == b"\x05"]
    assert ack[43] == b"ANDROID_METERED"
    assert ack[114] == API.encode()
    assert ack[6] == ack[3] == ip_address(GATEWAY).packed


async def test_a_lease_makes_the_device_known_with_mac_address_and_name(
    lan: LanWorld, tmp_path: Path
) -> None:
    changes: list[object] = []
    watch = LanWatch("lan0", tmp_path / "leases", changes.append)
    task = asyncio.create_task(watch.run())
    async with resolver(tmp_path, []), dhclient(lan, tmp_path) as bound:
        await wait_until(bound.exists)
        await wait_until(lambda: MAC in watch.presence.hosts)
        await wait_until(lambda: watch.presence.hosts[MAC].hostname == "marias-phone")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    leased = [change for change in changes if isinstance(change, Gained) and change.mac == MAC]
    assert Appeared(MAC) in changes
    assert [change for change in leased if change.address in LAN.v4.network]


async def test_a_device_cannot_take_the_gateway_s_name(lan: LanWorld, tmp_path: Path) -> None:
    async with resolver(tmp_path, []), dhclient(lan, tmp_path, "tripgate") as bound:
        await wait_until(bound.exists)
        assert await dig(lan, "tripgate.home.arpa") == f"NOERROR {GATEWAY}"


async def test_no_device_takes_the_name_of_proxy_discovery(lan: LanWorld, tmp_path: Path) -> None:
    async with resolver(tmp_path, []), dhclient(lan, tmp_path, "wpad") as bound:
        await wait_until(bound.exists)
        assert await dig(lan, "wpad.home.arpa") == "NXDOMAIN"


async def test_a_name_of_the_internet_is_resolved(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    async with resolver(tmp_path, []):
        assert await dig(device, "site.example") == "NOERROR 11.0.2.7"


@pytest.mark.parametrize("name", CANARIES)
async def test_canaries_do_not_exist(
    device: LanWorld, upstream: None, tmp_path: Path, name: str
) -> None:
    async with resolver(tmp_path, []):
        assert await dig(device, name) == "NXDOMAIN"


async def test_canaries_exist_where_that_is_set(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    async with resolver(tmp_path, [], canaries=False):
        assert await dig(device, CANARIES[0]) == "NOERROR 11.0.2.66"


async def test_a_name_from_outside_that_points_inside_is_no_answer(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    async with resolver(tmp_path, []):
        assert "10.1.2.3" not in await dig(device, "evil.example")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("any.example",), f"NOERROR {GATEWAY}"),
        (("any.example", "AAAA"), f"NOERROR {GATEWAY_V6}"),
        (("site.example",), f"NOERROR {GATEWAY}"),
        (("any.example", "HTTPS"), "NOERROR"),
    ],
)
async def test_the_captive_instance_answers_with_the_gateway_alone(
    device: LanWorld, upstream: None, tmp_path: Path, question: tuple[str, ...], answer: str
) -> None:
    async with captive(tmp_path, []):
        assert await dig(device, *question, port=CAPTIVE_PORT) == answer


async def test_both_instances_run_side_by_side(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    async with resolver(tmp_path, []), captive(tmp_path, []):
        assert await dig(device, "site.example") == "NOERROR 11.0.2.7"
        assert await dig(device, "site.example", port=CAPTIVE_PORT) == f"NOERROR {GATEWAY}"


async def test_a_flow_without_sni_has_the_name_that_its_device_asked_for(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    log = DnsLog(lambda: None)
    lines: Lines = []
    async with resolver(tmp_path, lines):
        await dig(device, "www.site.example")
        answered = "reply cdn.example is 11.0.2.8"
        await wait_until(lambda: [line for line in lines if answered in line])
    for line in lines:
        log.line(line)
    asker, server = ip_address("10.77.0.77"), ip_address("11.0.2.8")
    assert log.name(asker, server) == "www.site.example"


def fill(pipe: Path) -> None:
    """Nobody reads the log, and there is no room in it."""
    fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 512)
    os.close(fd)


async def test_the_resolver_answers_on_without_a_gateway_and_is_adopted_by_the_next(
    device: LanWorld, upstream: None, tmp_path: Path
) -> None:
    lines: Lines = []
    told = Resolver(LAN, str(tmp_path / "leases"), servers=(f"127.0.0.1#{UPSTREAM_PORT}",))
    spec = dnsmasq.resolver(told, tmp_path)
    first, second = Child(spec, tmp_path, lines.append), Child(spec, tmp_path)
    await first.start()
    pid = first.pid
    try:
        await wait_until(lambda: [line for line in lines if "cleared cache" in line])
        await first.abandon()
        fill(first.outlet.path)
        assert await dig(device, "site.example") == "NOERROR 11.0.2.7"
    finally:
        await second.start()
        adopted = second.pid
        await second.stop()
    assert adopted == pid


async def test_the_lan_is_given_ipv6_by_router_advertisements(
    lan: LanWorld, tmp_path: Path
) -> None:
    async with resolver(tmp_path, []):
        await wait_until(lambda: "fd77::" in lan.on_device("ip", "-6", "addr", "show", "eth0"))


async def test_without_a_prefix_nothing_is_advertised(lan: LanWorld, tmp_path: Path) -> None:
    lines: Lines = []
    async with resolver(tmp_path, lines, lan=replace(LAN, v6=None)):
        assert not [line for line in lines if "router advertisement" in line]
