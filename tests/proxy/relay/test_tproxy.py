"""Router mode as the kernel does it: diverted connections, both families, in the lab."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.proxy.mode_servers import ServerInstance

from tests.lab.lab import Lab, device4, device6, needs_lab, server4, server6
from tests.proxy.relay.relay_world import RelayWorld, exactly, recv, send, until
from tripgate.core import marks
from tripgate.proxy.relay import mode
from tripgate.proxy.relay.verdict import Allow, Asked, Refuse

PORT = 18081
RULES = f"""
table inet tgr {{
  chain pre {{
    type filter hook prerouting priority mangle
    iifname "lan0" meta l4proto tcp tproxy to :{PORT} meta mark set {marks.TPROXY} accept
  }}
}}
"""
SLOT = 7


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs_lab()
    with Lab(devices=2, prefix="tgr") as lab:
        lab.run(lab.gateway, ["nft", "-f", "-"], stdin=RULES)
        for family in ("-4", "-6"):
            mark = f"{marks.TPROXY}/{marks.TPROXY}"
            argv = ["ip", family, "rule", "add", "fwmark", mark, "lookup", "100"]
            lab.run(lab.gateway, argv)
            argv = ["ip", family, "route", "add", "local", "default", "dev", "lo", "table", "100"]
            lab.run(lab.gateway, argv)
        yield lab


class Routed(RelayWorld):
    """The relay in the lab's gateway, behind mitmproxy's mode."""

    def decide(self, asked: Asked) -> Allow | Refuse:
        verdict = super().decide(asked)
        return Allow(verdict.account, SLOT) if isinstance(verdict, Allow) else verdict


@pytest.fixture
async def routed(lab: Lab, tmp_path: Path) -> AsyncIterator[Routed]:
    world = Routed()
    with lab.inside(lab.gateway):
        await world.start(tmp_path)
        mode.install(lambda: world.relay)
        manager: Any = None
        server = ServerInstance.make(f"tproxy@{PORT}", manager)
        await server.start()
        yield world
        await server.stop()
        world.relay.close()


def server_in(lab: Lab, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(lab.server):
        sock = socket.create_server((address, port), family=family)
    sock.setblocking(False)
    return sock


async def client_in(lab: Lab, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside(lab.device(1)):
        sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (address, port))
    return sock


@pytest.mark.parametrize(
    ("server", "device"), [(server4(1), device4(1)), (server6(1), device6(1))], ids=["v4", "v6"]
)
async def test_a_device_reaches_what_it_asked_for(
    lab: Lab, routed: Routed, server: str, device: str
) -> None:
    listening = server_in(lab, server, 2222)
    client = await client_in(lab, server, 2222)
    await send(client, b"SSH-2.0-client\r\n")
    far, _ = await asyncio.get_running_loop().sock_accept(listening)
    assert await exactly(far, 16) == b"SSH-2.0-client\r\n"
    await send(far, b"SSH-2.0-server\r\n")
    assert await exactly(client, 16) == b"SSH-2.0-server\r\n"
    asked = routed.asked[-1]
    assert (asked.client[0], asked.destination) == (device, (server, 2222))
    (flow,) = routed.account.flows
    assert flow.server.getsockopt(socket.SOL_SOCKET, socket.SO_MARK) == SLOT  # type: ignore[attr-defined]


@pytest.mark.parametrize("server", [server4(1), server6(1)], ids=["v4", "v6"])
async def test_the_estimate_is_what_the_carrier_counts(
    lab: Lab, routed: Routed, server: str
) -> None:
    listening = server_in(lab, server, 2222)
    client = await client_in(lab, server, 2222)
    await send(client, b"!")
    far, _ = await asyncio.get_running_loop().sock_accept(listening)
    far.setblocking(False)
    volume = 4_000_000
    sending = asyncio.ensure_future(send(far, bytes(volume)))
    await exactly(client, volume)
    await sending
    far.close()
    client.close()
    await until(lambda: not routed.account.flows)
    truth = lab.truth(server).total
    assert abs(routed.account.budget.taken - truth) < truth // 50


async def test_a_port_where_nobody_listens_resets_the_client(lab: Lab, routed: Routed) -> None:
    client = await client_in(lab, server4(1), 2222)
    await send(client, b"!")
    with pytest.raises(ConnectionResetError):
        await recv(client)


async def test_a_private_destination_is_refused(lab: Lab, routed: Routed) -> None:
    client = await client_in(lab, "192.168.7.7", 2222)
    await send(client, b"!")
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert routed.stats.verdicts["refuse-destination"] == 1
