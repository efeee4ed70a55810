"""One daemon with the stack of compose.yaml up, for all tests of it."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import roots
from tests.docker.daemon import INDEX_PORT, Daemon
from tests.docker.network import ORIGIN, Network

FILM = 3_000_000


@pytest.fixture(scope="session")
def daemon(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon, images to build from, an origin with a film."""
    _skip_where_it_cannot_be()
    recipe = b"".join((roots.ROOT / name).read_bytes() for name in RECIPE)
    cache = request.config.cache.mkdir(f"docker-{hashlib.sha256(recipe).hexdigest()[:12]}")
    for old in set(cache.parent.glob("docker-*")) - {cache}:
        shutil.rmtree(old, ignore_errors=True)
    made = roots.make(cache)
    work = tmp_path_factory.mktemp("docker")
    network = Network()
    started = Daemon(made, network, work)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        stack.callback(network.remove)
        network.make()
        stack.callback(started.stop)
        started.start()
        stack.enter_context(started.serving(network.host, made.index, "127.0.0.1", INDEX_PORT))
        (work / "www").mkdir()
        (work / "www/film").write_bytes(os.urandom(FILM))
        stack.enter_context(started.serving(network.origin, work / "www", ORIGIN, "8000"))
        yield started


RECIPE = (
    *("tests/docker/roots.py", "requirements.lock", "deploy/tools.lock"),
    "deploy/packages.debian",
)


def _skip_where_it_cannot_be() -> None:
    if os.geteuid() != 0:
        pytest.skip("a Docker daemon needs root")
    for program in ("mmdebstrap", "nsenter", "unshare", "pgrep", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if (
        not Path("/sys/fs/cgroup").is_dir()
        or "overlay" not in Path("/proc/filesystems").read_text()
    ):
        pytest.skip("the kernel lacks cgroups or overlayfs")


@pytest.fixture(scope="session")
def stack(daemon: Daemon) -> Iterator[Daemon]:
    """As a user starts it."""
    roots.run([str(daemon.checkout / "deploy/compose/configure")])  # the daemon's has no Python
    daemon.compose("--profile", "router", "build", "--quiet")
    daemon.compose("up", "--detach", "--wait")
    yield daemon
    daemon.compose("--profile", "router", "down", "--volumes")
