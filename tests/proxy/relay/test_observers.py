"""Other people's addons hear of the relay's connections, and nobody else pays for it."""

import asyncio
import ssl
from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.master import Master

from tests.proxy.relay.relay_world import RelayWorld, recv, until
from tripgate.proxy.relay.observers import EVENTS, MeteredFlow


class Everything:
    """An addon that writes down all it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        for event in EVENTS:
            setattr(self, event, lambda data, event=event: self.told.append((event, data)))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.told]

    def data(self, event: str) -> Any:
        return next(data for name, data in self.told if name == event)


@pytest.fixture
async def master(world: RelayWorld) -> Master:
    return Master(options.Options(), asyncio.get_running_loop())


def hello(name: str) -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def exchange(world: RelayWorld) -> None:
    client, server = await world.pair(hello("shop.example"))
    server.close()
    client.close()
    await until(lambda: world.relay.connections == 0)


async def test_an_addon_is_told_of_a_connection_from_its_beginning_to_its_end(
    world: RelayWorld, master: Master
) -> None:
    addon = Everything()
    master.addons.add(addon)
    await exchange(world)
    assert tuple(addon.names) == EVENTS
    assert addon.data("tls_clienthello").client_hello.sni == "shop.example"
    server = addon.data("server_connected").server
    assert server.peername == world.origin.getsockname() and server.sockname[1] > 0
    metered = addon.data("flow_metered")
    assert isinstance(metered, MeteredFlow)
    assert (metered.device, metered.host) == (world.phone.id, "shop.example")
    assert metered.up > len(hello("shop.example")) and metered.down > 0


async def test_without_such_an_addon_nothing_is_made(
    world: RelayWorld, master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*_: object) -> None:
        raise AssertionError("an object for nobody")

    monkeypatch.setattr("tripgate.proxy.relay.observers.Observed.__init__", made)
    await exchange(world)
    assert world.stats.verdicts["allow"] == 1


async def test_an_addon_may_refuse_a_connection(world: RelayWorld, master: Master) -> None:
    class Refuses:
        def server_connect(self, data: Any) -> None:
            data.server.error = "not here"

    addon = Everything()
    master.addons.add(Refuses(), addon)
    client = await world.client(hello("shop.example"))
    with pytest.raises(ConnectionResetError):
        await recv(client)
    assert world.stats.verdicts["refuse-destination"] == 1
    assert addon.names[-1] == "client_disconnected" and "flow_metered" not in addon.names


async def test_an_addon_that_fails_changes_nothing(world: RelayWorld, master: Master) -> None:
    class Fails:
        def client_connected(self, data: Any) -> None:
            raise RuntimeError("broken")

        async def server_connected(self, data: Any) -> None:
            await asyncio.sleep(0)
            raise RuntimeError("broken later")

    master.addons.add(Fails())
    await exchange(world)
    assert world.stats.verdicts["allow"] == 1
