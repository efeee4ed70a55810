"""A LAN for one test: two network namespaces and a cable, and this process on the gateway's side.

Nothing of it is in the root namespace. As root only: elsewhere these tests are skipped.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pyroute2 import netns

GATEWAY = "10.77.0.1"
GATEWAY_V6 = "fd77::1"
MAC = "02:00:00:00:00:c1"


@dataclass(frozen=True)
class LanWorld:
    """Interface ``lan0`` is here, in the gateway's namespace; ``eth0`` is the device's."""

    gateway: str
    device: str

    def at_device(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` on the device."""
        return ["ip", "netns", "exec", self.device, *argv]

    def on_device(self, *argv: str) -> str:
        done = subprocess.run(
            self.at_device(*argv), capture_output=True, text=True, check=False, timeout=30
        )
        return done.stdout


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


@pytest.fixture
def lan() -> Iterator[LanWorld]:
    """The gateway has its addresses, the device has none."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    world = LanWorld(f"tgd-g{os.getpid()}", f"tgd-d{os.getpid()}")
    made = []
    try:
        for name in (world.gateway, world.device):
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", world.gateway, "link", "add", "lan0", "type", "veth", "peer", "name", "eth0")
        ip("-n", world.gateway, "link", "set", "eth0", "netns", world.device)
        ip("-n", world.device, "link", "set", "eth0", "address", MAC)
        ip("-n", world.gateway, "addr", "add", f"{GATEWAY}/24", "dev", "lan0")
        ip("-n", world.gateway, "addr", "add", f"{GATEWAY_V6}/64", "dev", "lan0", "nodad")
        ip("-n", world.gateway, "link", "set", "lan0", "up")
        ip("-n", world.device, "link", "set", "eth0", "up")
        netns.pushns(world.gateway)
        try:
            yield world
        finally:
            netns.popns()
    finally:
        for name in made:
            ip("netns", "del", name)


async def wait_until(condition: Callable[[], object], most: float = 20.0) -> None:
    """Let the loop run until ``condition`` holds."""
    async with asyncio.timeout(most):
        while not condition():  # noqa: ASYNC110 - it is another process's state
            await asyncio.sleep(0.01)
