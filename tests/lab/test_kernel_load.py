"""Under load: a flush is repaired at once, and nothing crosses meanwhile without an owner."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, server4, wait_until
from tests.lab.router import SPEC, Router, router, slot
from tripgate.kernel import routes
from tripgate.kernel.watch import Watch

SENDER = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        sender.sendto(bytes(1200), (sys.argv[1], 9))
    except OSError:  # told by the guard or the server that nobody is there
        pass
    time.sleep(0.0005)
"""


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with router(lab) as made:
        with lab.inside(lab.gateway):
            routes.apply(SPEC.lan)
        yield made


@contextlib.contextmanager
def flood(lab: Lab) -> Iterator[None]:
    """A UDP upload of device 1 at 20 Mbit/s, until the end (nobody answers it)."""
    process = lab.spawn(lab.device(1), [sys.executable, "-c", SENDER, server4(1)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_a_flush_under_load_is_repaired_within_two_seconds(lab: Lab, gateway: Router) -> None:
    with lab.inside(lab.gateway):
        watch, repaired = Watch(), asyncio.Event()

    def repair() -> None:
        if watch.changed() and not gateway.table.intact():
            with lab.inside(lab.gateway):
                gateway.table.repair()
            repaired.set()

    gateway.open(1)
    loop = asyncio.get_running_loop()
    loop.add_reader(watch.fileno(), repair)
    with flood(lab):
        wait_until(lambda: lab.truth(server4(1)).up > 100_000, "a load")
        await asyncio.to_thread(gateway.nft, "flush ruleset")
        await asyncio.wait_for(repaired.wait(), 2)
        before = lab.truth(server4(1)).up
        wait_until(lambda: lab.truth(server4(1)).up > before + 100_000, "a load after the repair")
    loop.remove_reader(watch.fileno())
    watch.close()


def test_a_flush_under_load_lets_no_packet_through(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    with flood(lab):
        wait_until(lambda: lab.truth(server4(1)).up > 100_000, "a load")
        gateway.nft("flush ruleset")
        before = lab.truth(server4(1))
        arrived = _arrived(lab)
        wait_until(lambda: _arrived(lab) > arrived + 500, "packets for the guard to refuse")
        assert lab.truth(server4(1)) == before


def _arrived(lab: Lab) -> int:
    """Packets of the LAN that arrived in the gateway, by its interface's own count."""
    shown = lab.run(lab.gateway, ["cat", "/proc/net/dev"]).stdout
    line = next(line for line in shown.splitlines() if line.strip().startswith("lan0:"))
    return int(line.split()[2])


def test_loads_count_to_the_byte_while_rules_are_reloaded(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    with flood(lab):
        for number in range(20):
            wait_until(lambda n=number: lab.truth(server4(1)).up > 20_000 * (n + 1), "a load")
            gateway.table.apply(SPEC)
            gateway.table.grant(slot(1), (1 << 40) + number)
    assert gateway.look().table.slots[slot(1)].up == lab.truth(server4(1)).up
