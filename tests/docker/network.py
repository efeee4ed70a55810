"""Three namespaces: a machine with Docker, a device on its LAN, an origin on the internet.

    device 10.91.0.10 ── lan ── 10.91.0.1 host 203.0.113.1 ── wan ── 203.0.113.2 origin

Nothing of it is in the root namespace, and all of it goes with :meth:`Network.remove`.
"""

import os
import subprocess
from collections.abc import Sequence

DEVICE, HOST_LAN = "10.91.0.10", "10.91.0.1"
HOST_WAN, ORIGIN = "203.0.113.1", "203.0.113.2"
CALL_S = 30


class Network:
    """Namespaces with names of this process."""

    def __init__(self) -> None:
        own = f"tgk-{os.getpid()}"
        self.host, self.device, self.origin = f"{own}-host", f"{own}-device", f"{own}-origin"

    def make(self) -> None:
        for name in (self.host, self.device, self.origin):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        self._cable("lan", HOST_LAN, self.device, DEVICE)
        self._cable("wan", HOST_WAN, self.origin, ORIGIN)
        ip("-n", self.device, "route", "add", "default", "via", HOST_LAN)
        ip("-n", self.host, "route", "add", "default", "via", ORIGIN)

    def _cable(self, link: str, here: str, other: str, there: str) -> None:
        peer = ("peer", "name", "eth0", "netns", other)
        ip("-n", self.host, "link", "add", link, "type", "veth", *peer)
        for namespace, name, address in ((self.host, link, here), (other, "eth0", there)):
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", name)
            ip("-n", namespace, "link", "set", name, "up")

    def remove(self) -> None:
        for name in (self.host, self.device, self.origin):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=CALL_S)


def inside(namespace: str, command: Sequence[str]) -> list[str]:
    """The command line of ``command`` in ``namespace``; mounts and cgroups stay as they are."""
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]
