"""The world of a benchmark: the lab, an origin with TLS, and one of the gateways in its place.

Rules
1. The product is the real one: ``tripgate up --mode router`` in the gateway's namespace.
2. Its peers stand in the same namespaces, on the same links, one after the other; devices ask for
   the same things of the same server.
3. Only one gateway is there at a time, and what it set up is gone before the next one comes.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import peers, processes
from tests.lab.lab import SERVERS, Lab, device_mac, server4, wait_until

ROOT = Path(__file__).parent.parent.parent
LOAD = Path(__file__).parent / "load.py"
TLS, PLAIN, HOLD = 443, 80, 4430
PEER_PORT = 7071
START_S, STOP_S = 30.0, 20.0
COMMAND = ("nft", "-f", "-")

FORWARD = """
table inet bench {
  chain post { type nat hook postrouting priority srcnat; oifname "wan0" masquerade; }
}
"""

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 60;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_session_cache off; ssl_session_tickets off;
    root {folder}/files;
  }}
}}
"""


def origin(lab: Lab, folder: Path, files: dict[str, int]) -> None:
    """nginx in the server's namespace, by TLS and plainly; ``files`` are names and sizes."""
    (folder / "files").mkdir(exist_ok=True)
    for name, size in files.items():
        with (folder / "files" / name).open("wb") as file:
            file.truncate(size)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=origin.example",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    folder.chmod(0o755)
    lab.spawn(lab.server, ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    lab.wait_tcp(lab.server, TLS)


class CostLab(Lab):
    """A lab in which the gateway's process has a processor for itself and pays for what it does,
    the same for every gateway.

    Links have segmentation offload, as real ones have, but for the uplink. What arrives anywhere is
    worked on by the other processor (receive packet steering), as interrupts of a network card
    are; without that all that a packet causes in the whole lab, to the acknowledgement of the
    acknowledgement, is charged to whoever sent it.
    """

    def _wire(self, namespace: str, link: str) -> None:
        if link in ("wan0", "up0"):
            super()._wire(namespace, link)
        else:
            self._ip(namespace, f"link set {link} mtu 1500 up")
        path = f"/sys/class/net/{link}/queues/rx-0/rps_cpus"
        argv = ["sh", "-c", f"echo {1 << self._processor(''):x} >{path}"]
        super().run(namespace, argv)

    def _processor(self, namespace: str) -> int:
        one, *others = sorted(os.sched_getaffinity(0))
        return others[0] if others and namespace == self.gateway else one

    def _pin(self, namespace: str, argv: Sequence[str]) -> list[str]:
        return ["taskset", "-c", str(self._processor(namespace)), *argv]

    def run(self, namespace: str, argv: Sequence[str], **more: Any) -> Any:
        return super().run(namespace, self._pin(namespace, argv), **more)

    def spawn(self, namespace: str, argv: Sequence[str], **more: Any) -> Any:
        return super().spawn(namespace, self._pin(namespace, argv), **more)


class PromptLab(CostLab):
    """The same for latencies: what else runs on this machine waits, which the light work of a
    latency allows."""

    def _pin(self, namespace: str, argv: Sequence[str]) -> list[str]:
        return ["nice", "-n", "-15", *super()._pin(namespace, argv)]


@dataclass
class Gateway:
    """What stands in the gateway's place; ``pids`` are the processes whose cost counts."""

    name: str
    pids: list[int] = field(default_factory=list)

    def cpu(self) -> float:
        return processes.cpu_seconds(*self.pids)

    def resident(self) -> int:
        return processes.resident_bytes(*self.pids)


@dataclass
class Product(Gateway):
    """tripgate, and its CLI."""

    lab: Lab | None = None
    state: Path = Path()
    log: Path = Path()

    def cli(self, *words: str) -> str:
        assert self.lab
        argv = [sys.executable, "-m", "tripgate", *words, "--state", str(self.state)]
        done = subprocess.run(
            ["ip", "netns", "exec", self.lab.gateway, *argv],
            env=environment(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.cli(*words, "--json"))

    def metric(self, name: str) -> dict[str, float]:
        """Samples of one metric by their labels."""
        assert self.lab
        argv = ["curl", "-s", "http://127.0.0.1:9108/metrics"]
        text = self.lab.run(self.lab.gateway, argv).stdout
        found = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def device(self, number: int) -> dict[str, Any]:
        """Device ``number`` as the CLI shows it."""
        mac = device_mac(number)
        return next(one for one in self.json("device", "list") if one["mac"] == mac)

    def approve(self, *numbers: int) -> None:
        """Let the devices show themselves, and approve them."""
        assert self.lab
        macs = {device_mac(number) for number in numbers}
        found: dict[str, str] = {}

        def seen() -> bool:
            for number in numbers:
                self.lab.run(  # type: ignore[union-attr]
                    self.lab.device(number), ["ping", "-q", "-c1", "-W1", "10.77.0.1"], check=False
                )
            shown = self.json("device", "list")
            found.update({one["mac"]: one["id"] for one in shown if one["mac"] in macs})
            return len(found) == len(macs)

        wait_until(seen, "the devices are known", START_S)
        for number in numbers:
            self.cli("device", "approve", found[device_mac(number)])
        wait_until(lambda: all(self._opens(number) for number in numbers), "open", START_S)

    def _opens(self, number: int) -> bool:
        assert self.lab
        url = f"http://{server4((number - 1) % SERVERS + 1)}/1"
        argv = ["curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url]
        return self.lab.run(self.lab.device(number), argv, check=False).stdout == "200"


def environment() -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("TRIPGATE_")}
    return {**own, "PYTHONPATH": str(ROOT / "addons"), "TRIPGATE_CLOCK__TRUST": "host"}


@contextlib.contextmanager
def tripgate(lab: Lab, folder: Path, *options: str) -> Iterator[Product]:
    """The product, ready; its devices are still pending."""
    state, log = folder / "state", folder / "tripgate.log"
    argv = [
        *(sys.executable, "-m", "tripgate", "up", "--mode", "router", "--lan", "lan0"),
        *("--uplink", "wan0", "--state", str(state), *options),
    ]
    with log.open("w") as file:
        process = lab.spawn(lab.gateway, argv, stdout=file, stderr=file, env=environment())
    product = Product("tripgate", lab=lab, state=state, log=log)

    def up() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{log.read_text()[-3000:]}")
        with contextlib.suppress(AssertionError):
            return bool(product.cli("status"))
        return False

    try:
        wait_until(up, "the gateway answers", START_S)
        product.pids = processes.tree(process.pid)
        yield product
    finally:
        _end(process)


@contextlib.contextmanager
def haproxy(lab: Lab, folder: Path, port: int = TLS) -> Iterator[Gateway]:
    """HAProxy for device 1 and its server."""
    argv = peers.haproxy(folder, f":{PEER_PORT}", f"{server4(1)}:{port}")
    with _peer(lab, "haproxy", argv) as gateway:
        yield gateway


@contextlib.contextmanager
def mitmdump(lab: Lab, folder: Path) -> Iterator[Gateway]:
    """A stock mitmdump."""
    program = Path(sys.executable).parent / "mitmdump"
    with _peer(lab, "mitmdump", peers.mitmdump(program, folder, PEER_PORT)) as gateway:
        yield gateway


@contextlib.contextmanager
def forwarding(lab: Lab) -> Iterator[Gateway]:
    """No program at all: the kernel forwards."""
    lab.sysctl(lab.gateway, "ipv4/ip_forward", "1")
    lab.run(lab.gateway, COMMAND, stdin=FORWARD)
    try:
        yield Gateway("forwarding")
    finally:
        lab.run(lab.gateway, ["nft", "delete", "table", "inet", "bench"])
        lab.sysctl(lab.gateway, "ipv4/ip_forward", "0")


@contextlib.contextmanager
def _peer(lab: Lab, name: str, argv: list[str]) -> Iterator[Gateway]:
    lab.run(lab.gateway, COMMAND, stdin=peers.redirect_rules("lan0", PEER_PORT))
    process = lab.spawn(lab.gateway, argv)
    try:
        lab.wait_tcp(lab.gateway, PEER_PORT)
        yield Gateway(name, processes.tree(process.pid))
    finally:
        _end(process)
        lab.run(lab.gateway, ["nft", "delete", "table", "ip", "bench"])


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def load(lab: Lab, device: int, *words: str) -> Any:
    """Run the load generator in a device's namespace; what it reports."""
    return json.loads(lab.run(lab.device(device), [sys.executable, str(LOAD), *words]).stdout)


def start_load(lab: Lab, device: int, *words: str) -> "subprocess.Popen[str]":
    """The same in the background."""
    return lab.spawn(
        lab.device(device), [sys.executable, str(LOAD), *words], stdout=subprocess.PIPE
    )


def have(*programs: str) -> bool:
    return all(shutil.which(program) for program in programs)
