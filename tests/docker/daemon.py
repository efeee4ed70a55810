"""A Docker daemon of its own, with a checkout to start: its root, network, mounts and processes.

Rules
1. It runs in a network namespace and in private mount and PID namespaces: its rules, mounts and
   containers end with it.
2. Its cgroups are below one of its own, which is removed at the end.
3. ``compose`` is what a user types in the checkout, with compose.test.yaml on top.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.docker.network import Network, inside
from tests.docker.roots import ROOT, Roots

START_S = 60.0
CALL_S = 600.0
CGROUPS = Path("/sys/fs/cgroup")
FILES = "compose.yaml:tests/docker/compose.test.yaml"
SHIPPED = ("addons", "deploy", "grafana", "tests/docker")
INDEX_PORT = "8900"  # as in compose.test.yaml
# Its root gets the mounts that a machine has, then it alone is what is left.
START = """
set -eu
root=$1 work=$2 parent=$3
mount --bind "$root" "$root"
cd "$root"
mkdir -p old
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --bind "$work" srv
mkdir -p srv/docker var/lib/docker
mount --bind srv/docker var/lib/docker
pivot_root . old
exec chroot . /bin/sh -c 'umount -l /old; exec dockerd --log-level=warn \
  --exec-opt=native.cgroupdriver=cgroupfs --cgroup-parent="$1" >/srv/dockerd.log 2>&1' sh "$parent"
"""


class Daemon:
    """``work``: a folder for all that it writes."""

    def __init__(self, roots: Roots, network: Network, work: Path) -> None:
        self.roots, self.network, self.work = roots, network, work
        self.checkout = work / "tripgate"
        self.parent = f"tripgate-test-{os.getpid()}"
        self.process: subprocess.Popen[bytes] | None = None

    # -- its life ------------------------------------------------------------------------------

    def start(self) -> None:
        self._copy_checkout()
        script = ["bash", "-c", START, "sh", str(self.roots.host), str(self.work), self.parent]
        private = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *script]
        self.process = subprocess.Popen(inside(self.network.host, private))
        until(self._answers, START_S, self._log)
        for archive in (self.roots.base, self.roots.services):
            with archive.open("rb") as content:
                image = f"tripgate-test-{archive.stem}"
                self.run("docker", "import", "-", image, stdin=content.fileno())

    def _copy_checkout(self) -> None:
        ignore = shutil.ignore_patterns("__pycache__", "secrets")
        for name in SHIPPED:
            shutil.copytree(ROOT / name, self.checkout / name, ignore=ignore)
        for path in ROOT.iterdir():
            if path.is_file() and path.name != ".git":
                shutil.copy(path, self.checkout)

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, self._log()
        try:
            self.run("docker", "info")
        except (AssertionError, IndexError):
            return False
        return True

    def _log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.work / "dockerd.log").read_text()[-2000:]
        return "the daemon did not start"

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            until(lambda: not any(self._cgroups()), START_S, lambda: "cgroups are left")

    def _cgroups(self) -> Iterator[Path]:
        """Remove ours; yields those that are still in use."""
        for top in (CGROUPS / self.parent, *CGROUPS.glob(f"*/{self.parent}")):
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    yield Path(folder)

    # -- what is run on it ---------------------------------------------------------------------

    def run(self, *command: str, stdin: int = subprocess.DEVNULL) -> str:
        """A command on the machine; its output. ``AssertionError`` with its errors."""
        done = self.call(*command, stdin=stdin)
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}{done.stdout[-1000:]}"
        return done.stdout

    def call(
        self, *command: str, stdin: int = subprocess.DEVNULL
    ) -> "subprocess.CompletedProcess[str]":
        """The same, whatever comes of it."""
        entered = ["nsenter", f"--target={self._first()}", "--mount", "--net", "--pid", "--root"]
        environment = {"PATH": os.defpath + ":/usr/sbin:/sbin", "HOME": "/root"}
        classic = {"DOCKER_BUILDKIT": "0", "COMPOSE_FILE": FILES}
        return subprocess.run(
            [*entered, "env", "--chdir=/srv/tripgate", *command],
            env={**environment, **classic},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=CALL_S,
            check=False,
        )

    def compose(self, *arguments: str) -> str:
        return self.run("docker", "compose", *arguments)

    def tripgate(self, *arguments: str) -> str:
        """The CLI in the gateway's container."""
        return self.compose("exec", "-T", "gateway", "tripgate", *arguments)

    def inspect(self, service: str, what: str) -> str:
        """A field of a service's container, as Go's templates name it."""
        (container,) = self.compose("ps", "-a", "-q", service).split()
        return self.run("docker", "inspect", "-f", what, container).strip()

    def _first(self) -> str:
        """The first process of its PID namespace, which is the daemon."""
        assert self.process
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return found.stdout.split()[0]

    @contextlib.contextmanager
    def serving(self, namespace: str, folder: Path, address: str, port: str) -> Iterator[None]:
        """An HTTP server of the files in ``folder``."""
        command = ["python3", "-m", "http.server", port, "--bind", address]
        with (self.work / f"http-{port}.log").open("wb") as log:
            server = subprocess.Popen(inside(namespace, command), cwd=folder, stderr=log)
        try:
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def until(true: Callable[[], object], seconds: float, why: Callable[[], str]) -> None:
    """Wait for something that tells nobody when it comes."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)
