"""The figures, one function for each group that is measured together.

Rules
1. A ratio comes from rounds in one run: in each round every gateway does the same work, so what
   the machine does besides falls on all of them. The figure is the median of the rounds' ratios.
2. A figure that is not a ratio is the median of its rounds.
3. A round whose work was not done in full is an error, never a number.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import world
from tests.bench.decide import decide
from tests.bench.world import HOLD, LOAD, TLS, Gateway, Product, load, start_load
from tests.lab.lab import SERVERS, Lab, server4, server6

ROUNDS = 5
MIB = 1 << 20
DOWNLOAD = 256 * MIB
CONNECTIONS, AT_ONCE = 2000, 16
IDLE, IDLE_DEVICES = 5000, 5
PACED, PACE = 250, 50
CAP = 20_000_000
FLOWS = 8
CLOSE = MIB
"""How far from its cap a device may be when it was cut: what is left is too little for a window."""

UDP, DATAGRAM = 5001, 1228
SETTLED_S, WINDOW_S = 10.0, 4.0
BUSY_S = 60
BUSY = 50
Samples = dict[str, list[float]]

FILES = {"1": 1, "10k": 10_240, "1m": MIB, "256m": DOWNLOAD, "1g": 1 << 30}


@contextmanager
def bench_lab(devices: int, rtt_ms: float = 0, mbit: float = 0) -> Iterator[tuple[Lab, Path]]:
    """A lab with an origin, whose packets all links show one by one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        lab = stack.enter_context(Lab(devices, "tgb", rtt_ms=rtt_ms))
        if mbit:
            lab.rate(lab.server, "eth0", f"{mbit}mbit")
        world.origin(lab, folder, FILES)
        yield lab, folder


@contextmanager
def cost_lab(kind: type[Lab] = world.CostLab) -> Iterator[tuple[Lab, Path]]:
    """The same with one device and common links but for the uplink (:class:`world.CostLab`)."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        lab = stack.enter_context(kind(1, "tgb"))
        world.origin(lab, folder, FILES)
        yield lab, folder


# -- cost against the peers ---------------------------------------------------------------------


def cost() -> Samples:
    """CPU of the gateways for one big download, and for many small connections."""
    found: Samples = {}
    with cost_lab() as (lab, folder):
        for _ in range(ROUNDS):
            big, small = _cost_round(lab, folder)
            for peer in ("haproxy", "mitmproxy"):
                _put(found, f"relay_cpu_per_gb_vs_{peer}", big["tripgate"] / big[peer])
                _put(found, f"conn_cpu_vs_{peer}", small["tripgate"] / small[peer])
            for name, seconds in big.items():
                _put(found, f"({name} CPU-s per GB)", seconds * 1e9 / DOWNLOAD)
            for name, seconds in small.items():
                _put(found, f"({name} CPU-ms per connection)", seconds * 1000 / CONNECTIONS)
    return found


def _cost_round(lab: Lab, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    big, small = {}, {}
    for name, make in (
        ("tripgate", world.tripgate), ("haproxy", world.haproxy), ("mitmproxy", world.mitmdump)
    ):  # fmt: skip
        with make(lab, folder) as gateway:
            if isinstance(gateway, Product):
                gateway.approve(1)
            small[name] = _connections(lab, gateway)
            big[name] = _download(lab, gateway)
    return big, small


def _download(lab: Lab, gateway: Gateway) -> float:
    before = gateway.cpu()
    got = load(lab, 1, "download", server4(1), str(TLS), "256m")
    _whole(got["bytes"] > DOWNLOAD, gateway, got)
    return gateway.cpu() - before


def _connections(lab: Lab, gateway: Gateway) -> float:
    before = gateway.cpu()
    got = load(lab, 1, "connections", server4(1), str(TLS), str(CONNECTIONS), str(AT_ONCE))
    _whole(got["done"] == CONNECTIONS, gateway, got)
    return gateway.cpu() - before


def added_latency() -> Samples:
    """What a connection of 10 KiB takes longer than with plain forwarding, at 50 a second."""
    found: Samples = {}
    with cost_lab(world.PromptLab) as (lab, folder):
        for _ in range(ROUNDS):
            with world.forwarding(lab):
                plain = _p99(_paced(lab))
            with world.tripgate(lab, folder) as gateway:
                gateway.approve(1)
                _put(found, "conn_added_p99_ms", _p99(_paced(lab)) - plain)
            _put(found, "(forwarding p99 ms)", plain)
    return found


def _paced(lab: Lab) -> list[float]:
    taken = load(lab, 1, "paced", server4(1), str(TLS), str(PACED), str(PACE))["ms"]
    _whole(len(taken) == PACED, Gateway("paced"), f"{len(taken)} of {PACED}")
    return list(taken)


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def idle() -> Samples:
    """Resident memory of the gateway for each idle connection, in batches until 5,000."""
    found: Samples = {}
    with bench_lab(IDLE_DEVICES) as (lab, folder):
        lab.spawn(lab.server, [sys.executable, str(LOAD), "hold", str(HOLD)])
        lab.wait_tcp(lab.server, HOLD)
        with world.tripgate(lab, folder) as gateway:
            gateway.approve(*range(1, IDLE_DEVICES + 1))
            for device in range(1, IDLE_DEVICES + 1):
                before = gateway.resident()
                words = ("idle", server4(device), str(HOLD), str(IDLE // IDLE_DEVICES))
                process = start_load(lab, device, *words)
                assert process.stdout
                _whole("open" in process.stdout.readline(), gateway, device)
                grown = gateway.resident() - before
                _put(found, "idle_conn_kib", grown / 1024 / (IDLE // IDLE_DEVICES))
    return found


# -- what a cap lets through --------------------------------------------------------------------


def overshoot_near() -> Samples:
    return _overshoot("overshoot_bytes_100mbit_8flows", 2, _eight_downloads)


def overshoot_far() -> Samples:
    return _overshoot("overshoot_bytes_100mbit_8flows_150ms", 150, _eight_downloads)


def overshoot_udp() -> Samples:
    return _overshoot("overshoot_bytes_udp_100mbit", 2, _udp_download)


Overrun = Callable[[Lab, Product], float]


def _overshoot(key: str, rtt: float, work: Overrun) -> Samples:
    """A device with a cap of 20 MB takes all it can get; each round the cap is raised."""
    found: Samples = {}
    with bench_lab(1, rtt, 100) as (lab, folder), world.tripgate(lab, folder) as gateway:
        lab.spawn(lab.server, [sys.executable, str(LOAD), "echo", str(UDP)])
        lab.wait_udp(lab.server, UDP)
        gateway.approve(1)
        name = gateway.device(1)["name"]
        for _ in range(ROUNDS):
            time.sleep(1.0)  # what was moved before is in the ledger
            limit = int(gateway.device(1)["used_today"]) + CAP
            gateway.cli("cap", "set", f"device:{name}", f"{limit}B/day")
            began = time.monotonic()
            past = work(lab, gateway)
            _put(found, f"({key} seconds)", time.monotonic() - began)
            _put(found, key, past)
    return found


def _eight_downloads(lab: Lab, gateway: Product) -> float:
    """Bytes that the carrier has counted past the cap, when the last packet is through; less than
    the cap is no overshoot."""
    load(lab, 1, "download", server4(1), str(TLS), "256m", str(FLOWS))
    _quiet(lab, 1)
    cap = _cap(gateway)
    past = _truth(lab, 1) - cap["limit"]
    _whole(past > -CLOSE, gateway, (past, cap))
    return max(0.0, past)


def _udp_download(lab: Lab, gateway: Product) -> float:
    """Bytes that the device has received past the cap, of a download of half as much again. What
    was dropped on the way is charged, so fewer may have come than the cap allows."""
    before = _received(lab)
    cap = _cap(gateway)
    left = cap["limit"] - cap["used"]
    load(lab, 1, "udp", server4(1), str(UDP), str(left * 3 // 2 // DATAGRAM), "95")
    _whole(_truth(lab, 1) > cap["limit"], gateway, cap)
    return max(0.0, _received(lab) - before - left)


def _received(lab: Lab) -> int:
    """L3 bytes that the device has received and sent."""
    shown = lab.run(lab.device(1), ["ip", "-j", "-s", "link", "show", "dev", "eth0"]).stdout
    stats = json.loads(shown)[0]["stats64"]
    return sum(int(stats[way]["bytes"]) - 14 * int(stats[way]["packets"]) for way in ("rx", "tx"))


def _cap(gateway: Product) -> dict[str, int]:
    return next(one for one in gateway.json("cap", "list") if one["period"] == "day")


def _truth(lab: Lab, device: int) -> int:
    return lab.truth(server4(device)).total + lab.truth(server6(device)).total


def _quiet(lab: Lab, device: int) -> None:
    """Wait until the carrier has seen nothing of the device for half a second."""
    seen = -1
    while (now := _truth(lab, device)) != seen:
        seen = now
        time.sleep(0.5)


# -- the truth ----------------------------------------------------------------------------------


def meter() -> Samples:
    """Two devices with TCP, UDP and ICMP over both families against the carrier's own count."""
    found: Samples = {}
    with bench_lab(2) as (lab, folder), world.tripgate(lab, folder) as gateway:
        lab.spawn(lab.server, [sys.executable, str(LOAD), "echo", str(UDP)])
        lab.wait_udp(lab.server, UDP)
        gateway.approve(1, 2)
        ids = {number: gateway.device(number)["id"] for number in (1, 2)}
        for _ in range(ROUNDS):
            threads = [threading.Thread(target=_mixed, args=(lab, number)) for number in ids]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            _quiet(lab, 1)
            time.sleep(2.0)  # closed connections' last packets, and one more reading
            shown = gateway.json("usage", "--by", "device")["rows"]
            rows = {one["id"]: one["total"] for one in shown}
            errors = [abs(rows[ids[n]] - _truth(lab, n)) / _truth(lab, n) for n in ids]
            _put(found, "meter_error_ratio", max(errors))
            uplink = gateway.json("status")["uplink"]
            whole = uplink["up"] + uplink["down"]
            _put(found, "unattributed_ratio", uplink["unattributed"] / whole)
    return found


def _mixed(lab: Lab, device: int) -> None:
    for address in (server4(device), server6(device)):
        load(lab, device, "connections", address, str(TLS), "50", "8")
        load(lab, device, "download", address, str(TLS), "1m", "8")
        load(lab, device, "udp", address, str(UDP), "2000", "20")
        lab.run(lab.device(device), ["ping", "-q", "-c50", "-i0.01", "-s1000", address])


def ledger() -> Samples:
    """Calls to the ledger while fifty devices are busy."""
    found: Samples = {}
    with bench_lab(BUSY) as (lab, folder), world.tripgate(lab, folder) as gateway:
        gateway.approve(*range(1, BUSY + 1))
        busy = [
            start_load(lab, number, "busy", server4(number % SERVERS + 1), str(TLS), str(BUSY_S))
            for number in range(1, BUSY + 1)
        ]
        time.sleep(SETTLED_S)
        for _ in range(ROUNDS):
            before, began = _calls(gateway), time.monotonic()
            time.sleep(WINDOW_S)
            calls = _calls(gateway) - before
            _put(found, "ledger_calls_per_s_50_devices", calls / (time.monotonic() - began))
            _whole(all(one.poll() is None for one in busy), gateway, "somebody stopped")
    return found


def _calls(gateway: Product) -> float:
    return sum(gateway.metric("tripgate_ledger_calls_total").values())


# -- the rest ----------------------------------------------------------------------------------


def _whole(done: bool, gateway: Gateway, got: object) -> None:
    if not done:
        raise AssertionError(f"{gateway.name}: the work was not done in full: {got}")


def _put(found: Samples, key: str, value: float) -> None:
    found.setdefault(key, []).append(value)


GROUPS: dict[Callable[[], Samples], tuple[str, ...]] = {
    cost: (
        "relay_cpu_per_gb_vs_haproxy", "relay_cpu_per_gb_vs_mitmproxy",
        "conn_cpu_vs_haproxy", "conn_cpu_vs_mitmproxy",
    ),
    added_latency: ("conn_added_p99_ms",),
    idle: ("idle_conn_kib",),
    overshoot_near: ("overshoot_bytes_100mbit_8flows",),
    overshoot_udp: ("overshoot_bytes_udp_100mbit",),
    meter: ("unattributed_ratio", "meter_error_ratio"),
    ledger: ("ledger_calls_per_s_50_devices",),
    overshoot_far: ("overshoot_bytes_100mbit_8flows_150ms",),
    decide: ("decide_us", "decide_growth_1k_to_100k"),
}  # fmt: skip
