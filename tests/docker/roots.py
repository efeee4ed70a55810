"""What a Docker daemon needs where no image registry can be reached, made from Debian 13 and PyPI.

Rules
1. Made once and kept in a cache folder; each part is there whole or not at all.
2. Only the ordinary clients fetch: mmdebstrap from Debian, pip from PyPI, as this machine has
   them configured. Nothing of that configuration gets into an image.
"""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
SUITE = "trixie"
PYTHON = "3.13"  # of the suite
FETCH_S = 900
HOST = ("ca-certificates", "docker.io", "docker-cli", "docker-compose", "iptables", "iproute2")
BASE = ("ca-certificates", "python3", "python3-venv")
SERVICES = ("redis-server", "prometheus", "prometheus-alertmanager")
# As in the official images: who owns the folders of data.
OWNERS = {"data": 999, "prometheus": 65534, "alertmanager": 65534}
ENTRY = re.compile(r"(?:(\w[^ ;]*)(?: ; ([^\\]+?))? (\\\n.*)|.*)", re.DOTALL)
GLIBC = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True, slots=True)
class Roots:
    """``host``: the root of a machine with Docker; ``base``, ``services``: images as archives;
    ``index``: a PyPI with the locked wheels (PEP 503)."""

    host: Path
    base: Path
    services: Path
    index: Path


def make(cache: Path) -> Roots:
    """All parts, below ``cache``. ``CalledProcessError``: one cannot be had."""
    router = (ROOT / "deploy/packages.debian").read_text().splitlines()
    packages = (*BASE, *(line for line in router if not line.startswith("#")))
    return Roots(
        _made(cache / "host", lambda path: _debian(path, HOST)),
        _made(cache / "base.tar", lambda path: _debian(path, packages)),
        _made(cache / "services.tar", lambda path: _debian(path, SERVICES, OWNERS)),
        _made(cache / "index", _index),
    )


def _made(path: Path, build: Callable[[Path], None]) -> Path:
    if path.exists():
        return path
    new = path.with_name("new-" + path.name)
    shutil.rmtree(new, ignore_errors=True)
    new.unlink(missing_ok=True)
    build(new)
    new.rename(path)
    return path


def _debian(path: Path, packages: tuple[str, ...], owners: dict[str, int] | None = None) -> None:
    hooks = [
        f'--customize-hook=install -d -o {owner} -g {owner} "$1/{folder}"'
        for folder, owner in (owners or {}).items()
    ]
    wanted = f"--include={','.join(packages)}"
    run(["mmdebstrap", "--quiet", "--variant=minbase", wanted, *hooks, SUITE, str(path)])


def _index(path: Path) -> None:
    """The wheels of the lock files for this kind of machine, in a folder for each name."""
    wheels, env = path / "wheels", path / "env"
    python = getattr(sys, "_base_executable", sys.executable)
    run([python, "-m", "venv", str(env)])
    platforms = [f"--platform={libc}_{platform.machine()}" for libc in GLIBC]
    locks = ""
    for name in ("requirements.lock", "deploy/tools.lock"):
        locks += wanted((ROOT / name).read_text())
    (path / "lock").write_text(locks)
    run(
        [
            *(str(env / "bin/python"), "-m", "pip", "download", "--quiet", "--require-hashes"),
            *("--no-deps", "--only-binary=:all:", f"--python-version={PYTHON}", "--platform=any"),
            *(*platforms, "--abi=cp313", "--abi=abi3", "--abi=none", f"--dest={wheels}"),
            f"--requirement={path / 'lock'}",
        ]
    )
    shutil.rmtree(env)
    for wheel in sorted(wheels.iterdir()):
        name = re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()
        folder = path / "simple" / name
        folder.mkdir(parents=True, exist_ok=True)
        wheel.rename(folder / wheel.name)
    wheels.rmdir()


def wanted(lock: str) -> str:
    """The entries of a lock file for the suite's Python, without their markers: pip compares those
    with the Python that runs it, whatever --python-version says."""
    environment = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    kept = []
    for entry in re.split(r"\n(?=\w)", lock):
        pin, marker, rest = ENTRY.match(entry + "\n").groups(default="")  # type: ignore[union-attr]
        if pin and (not marker or Marker(marker).evaluate(environment)):
            kept.append(f"{pin} {rest}")
    return "".join(kept)


def run(command: list[str]) -> None:
    """Run it; what it says is in the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
