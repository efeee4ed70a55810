"""The lab: devices, a gateway, a carrier and a server, each in a network namespace of its own.

    dev1..N ── eth0 ── bridge ── lan0 ┐        ┌ up0 ── carrier ── srv0 ┐
                                      gateway ─ wan0                    server ── eth0

Rules
1. Names begin with the lab's prefix and the process id of its maker; what a dead maker left is
   removed by the next lab, and a lab removes all it made, also after a failure.
2. Links have 1500 bytes MTU, no offloads and ``gso_max_segs 1``: a counter sees wire packets.
3. The truth is counted in the carrier, outside of what is tested (``truth``). Behind a gateway
   that translates addresses a device is told apart by the server address that it alone talks to:
   ``server4(n)`` and ``server6(n)`` for device ``n``.
4. The gateway forwards nothing and has no rule before a test says so; devices and servers have
   their addresses and default routes (``Lab(configure_devices=False)`` leaves the devices bare,
   for a DHCP client).
5. ``Lab(rtt_ms=150)`` has that round-trip time between carrier and server (``delay.py``); the
   truth is counted on the gateway's side of it.
6. Only the namespaces are touched, never the root's network.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.lab import delay
from tests.lab.delay import open_tun
from tests.lab.netns import enter, leave
from tests.lab.truth import TRUTH_RULES, Bytes, count_link, count_server

LAN4, LAN6 = "10.77.0", "fd77:77:77:1:"
WAN4, WAN6 = "100.64.0", "2001:db8:0:ffff:"
SERVER4, SERVER6 = "198.51.100", "2001:db8:0:1:"
SERVERS = 16
WAIT_S = 10.0
Argv = Sequence[str]


def why_not() -> str | None:
    """Why this machine cannot run the lab, or ``None``."""
    if os.geteuid() != 0:
        return "the lab needs root for its network namespaces"
    missing = [name for name in ("ip", "nft", "ethtool", "tc") if not shutil.which(name)]
    return f"the lab needs {', '.join(missing)}" if missing else None


def device4(number: int) -> str:
    """The IPv4 address of device ``number``, from 1."""
    return f"{LAN4}.{100 + number}"


def device6(number: int) -> str:
    return f"{LAN6}:{100 + number}"


def device_mac(number: int) -> str:
    return f"02:77:00:00:00:{number:02x}"


def server4(number: int) -> str:
    """The server's IPv4 address for device ``number``."""
    return f"{SERVER4}.{100 + number}"


def server6(number: int) -> str:
    return f"{SERVER6}:{100 + number}"


def wait_until(true: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Poll ``true`` until it holds; a failure names ``what``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


@dataclass
class Lab:
    """One lab. Use it as a context manager; ``gateway``, ``carrier``, ``server`` and
    ``device(n)`` are the names of its namespaces."""

    devices: int = 2
    prefix: str = "tgl"
    configure_devices: bool = True
    rtt_ms: float = 0
    _made: list[str] = field(default_factory=list)
    _processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.prefix}{os.getpid()}"

    @property
    def gateway(self) -> str:
        return f"{self.name}-gw"

    @property
    def carrier(self) -> str:
        return f"{self.name}-carrier"

    @property
    def server(self) -> str:
        return f"{self.name}-server"

    @property
    def lan(self) -> str:
        return f"{self.name}-lan"

    def device(self, number: int) -> str:
        return f"{self.name}-dev{number}"

    def __enter__(self) -> "Lab":
        _remove_leftovers(self.prefix)
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was spawned, and what that has left in the namespaces; remove what was made."""
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        self._processes.clear()
        for namespace in reversed(self._made):
            for pid in self.pids(namespace) - {os.getpid()}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", namespace], check=False)
        self._made.clear()

    # ------------------------------------------------------------------ running

    def pids(self, namespace: str) -> set[int]:
        """The processes that are there now."""
        argv = ["ip", "netns", "pids", namespace]
        return set(
            map(int, subprocess.run(argv, stdout=subprocess.PIPE, check=False).stdout.split())
        )

    def run(
        self, namespace: str, argv: Argv, *, check: bool = True, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``argv`` there to its end, at most a minute; a failure shows what it said."""
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{argv} exited with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def spawn(
        self,
        namespace: str,
        argv: Argv,
        *,
        stdout: int | IO[str] = subprocess.DEVNULL,
        stderr: int | IO[str] = subprocess.DEVNULL,
        env: dict[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Start ``argv`` there in a process group of its own; the lab ends it."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=env,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def inside(self, namespace: str) -> Iterator[None]:
        """This thread is in ``namespace``: sockets it makes and sysctls it reads are there."""
        before = enter(namespace)
        try:
            yield
        finally:
            leave(before)

    def wait_tcp(self, namespace: str, port: int) -> None:
        """Wait until something listens on the TCP ``port`` in ``namespace``."""
        argv = ["ss", "-Hltn", f"sport = :{port}"]
        wait_until(lambda: bool(self.run(namespace, argv).stdout), f"a listener on {port}")

    def wait_udp(self, namespace: str, port: int) -> None:
        argv = ["ss", "-Hlun", f"sport = :{port}"]
        wait_until(lambda: bool(self.run(namespace, argv).stdout), f"a listener on {port}")

    # ------------------------------------------------------------------ measuring

    def truth(self, address: str) -> Bytes:
        """L3 bytes that crossed the carrier to and from one server address."""
        return count_server(self, address)

    def wire(self) -> Bytes:
        """L3 bytes of the carrier's interface to the gateway: its own counters less the link
        headers, ARP left out."""
        return count_link(self)

    def rate(self, namespace: str, link: str, rate: str) -> None:
        """Shape what leaves ``link`` to ``rate`` (tc's notation), with a short queue.

        What a queue drops was counted before: shape downloads at the server's ``eth0`` and
        uploads at the carrier's ``srv0``, where nothing is counted.
        """
        shape = ["root", "tbf", "rate", rate, "burst", "32kb", "latency", "50ms"]
        self.run(namespace, ["tc", "qdisc", "replace", "dev", link, *shape])

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        for namespace in (self.lan, self.gateway, self.carrier, self.server):
            self._namespace(namespace)
        self._ip(self.lan, "link add br0 type bridge forward_delay 0 mcast_snooping 0")
        self._ip(self.lan, "link set br0 up")
        self._port(self.gateway, "lan0", "gw")
        self._link(self.gateway, "wan0", self.carrier, "up0")
        if self.rtt_ms:
            self._delayed_link(self.carrier, "srv0", self.server, "eth0")
        else:
            self._link(self.carrier, "srv0", self.server, "eth0")
        self._address(self.gateway, "lan0", f"{LAN4}.1/24", f"{LAN6}:1/64")
        self._address(self.gateway, "wan0", f"{WAN4}.2/24", f"{WAN6}:2/64")
        self._address(self.carrier, "up0", f"{WAN4}.1/24", f"{WAN6}:1/64")
        self._address(self.carrier, "srv0", f"{SERVER4}.1/24", f"{SERVER6}:1/64")
        self._routes(self.gateway, f"{WAN4}.1", f"{WAN6}:1")
        servers = range(1, SERVERS + 1)
        addresses = [f"{address(n)}/{bits}" for n in servers for address, bits in _SERVER]
        self._address(self.server, "eth0", *addresses)
        self._routes(self.server, f"{SERVER4}.1", f"{SERVER6}:1")
        for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.sysctl(self.carrier, name, "1")
        self.run(self.carrier, ["nft", "-f", "-"], stdin=TRUTH_RULES)
        for number in range(1, self.devices + 1):
            self._device(number)

    def _device(self, number: int) -> None:
        namespace = self.device(number)
        self._namespace(namespace)
        self._port(namespace, "eth0", f"dev{number}", device_mac(number))
        if self.configure_devices:
            self._address(namespace, "eth0", f"{device4(number)}/24", f"{device6(number)}/64")
            self._routes(namespace, f"{LAN4}.1", f"{LAN6}:1")

    def _namespace(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", name], check=True)
        self._made.append(name)
        self._ip(name, "link set lo up")
        for scope in ("all", "default"):
            self.sysctl(name, f"ipv6/conf/{scope}/accept_dad", "0")
            self.sysctl(name, f"ipv6/conf/{scope}/router_solicitations", "0")
            self.sysctl(name, f"ipv6/conf/{scope}/disable_ipv6", "0")
            # Multicast reports at once, or they fall into what a test counts.
            self.sysctl(name, f"ipv6/conf/{scope}/mldv2_unsolicited_report_interval", "1")

    def _port(self, namespace: str, link: str, port: str, mac: str | None = None) -> None:
        self._link(namespace, link, self.lan, port, mac)
        self._ip(self.lan, f"link set {port} master br0")

    def _link(self, one: str, end: str, other: str, peer: str, mac: str | None = None) -> None:
        address = ["address", mac] if mac else []
        pair = ["link", "add", end, *address, "type", "veth", "peer", "name", peer]
        subprocess.run(["ip", "-n", one, *pair, "netns", other], check=True)
        self._wire(one, end)
        self._wire(other, peer)

    def _delayed_link(self, one: str, end: str, other: str, peer: str) -> None:
        with contextlib.ExitStack() as stack:
            tuns = []
            for namespace, link in ((one, end), (other, peer)):
                with self.inside(namespace):
                    tun = open_tun(link)
                stack.callback(os.close, tun)
                tuns.append(tun)
                self._wire(namespace, link)
            argv = [sys.executable, delay.__file__, *map(str, tuns), str(self.rtt_ms / 2)]
            self._processes.append(
                subprocess.Popen(argv, pass_fds=tuns, text=True, start_new_session=True)
            )

    def _wire(self, namespace: str, link: str) -> None:
        self.run(namespace, ["ethtool", "-K", link, "gro", "off", "gso", "off", "tso", "off"])
        self._ip(namespace, f"link set {link} mtu 1500 gso_max_segs 1 up")

    def _address(self, namespace: str, link: str, *addresses: str) -> None:
        for address in addresses:
            nodad = " nodad" if ":" in address else ""
            self._ip(namespace, f"address add {address} dev {link}{nodad}")

    def _routes(self, namespace: str, via4: str, via6: str) -> None:
        self._ip(namespace, f"route add default via {via4}")
        self._ip(namespace, f"-6 route add default via {via6}")

    def _ip(self, namespace: str, words: str) -> None:
        subprocess.run(["ip", "-n", namespace, *words.split()], check=True)

    def sysctl(self, namespace: str, name: str, value: str | None = None) -> str:
        """Read, or set first, ``/proc/sys/net/NAME`` of ``namespace``."""
        with self.inside(namespace):
            path = Path("/proc/sys/net") / name
            if value is not None:
                path.write_text(value, encoding="ascii")
            return path.read_text(encoding="ascii").strip()


_SERVER = ((server4, 24), (server6, 64))


def _remove_leftovers(prefix: str) -> None:
    """Namespaces of makers that are dead."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        name = line.split()[0]
        maker = name.removeprefix(prefix).partition("-")[0]
        if name.startswith(prefix) and maker.isdigit() and not Path(f"/proc/{maker}").exists():
            subprocess.run(["ip", "netns", "delete", name], check=False)


def needs_lab() -> None:
    """Skip the test, and say why, where the lab cannot run."""
    import pytest  # the demo has no pytest

    reason = why_not()
    if reason:
        pytest.skip(reason)
