"""A Debian of its own: a root made by mmdebstrap, entered by chroot and in its own mount namespace.

Rules
1. The root gets what this machine needs to reach its package sources (resolver, certificates, the
   configuration of apt and pip), and the checkout, read-only in ``/mnt``.
2. Its systemd is not running: units are installed, verified and then started by hand, with the
   capabilities that the unit names and no others (``setpriv``).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAKE_S = 900.0
SHARED = ("/etc/resolv.conf", "/etc/pip.conf", "/root/.config/pip/pip.conf")
ENTER = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/run"
mount --bind "$2" "$1/mnt" && mount -o remount,bind,ro "$1/mnt" || exit 125
root=$1; shift 2; exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class PiRoot:
    """The root's folder."""

    path: Path

    def argv(self, command: Sequence[str]) -> list[str]:
        """``command`` inside, as an argument list for outside."""
        return ["unshare", "-m", "sh", "-c", ENTER, "sh", str(self.path), str(ROOT), *command]

    @property
    def environment(self) -> dict[str, str]:
        """What its programs see of this machine's: how to reach package sources."""
        kept = re.compile(r"(PIP|UV|SSL|https?_proxy|no_proxy).*", re.IGNORECASE)
        own = {name: value for name, value in os.environ.items() if kept.fullmatch(name)}
        return {**own, "PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            self.argv(command),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=MAKE_S,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def unit(self, name: str) -> str:
        return (self.path / "etc/systemd/system" / name).read_text()

    def service(self, name: str) -> list[str]:
        """What the unit ``name`` runs, with the powers that it has."""
        text = self.unit(name)
        command = re.search(r"^ExecStart=(.*)$", text, re.M)
        powers = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)
        assert command
        argv = command[1].split()
        if powers:
            caps = ",".join(f"+{cap.lower().removeprefix('cap_')}" for cap in powers[1].split())
            group = ["--regid=tripgate", "--init-groups"] if "\nGroup=" in text else []
            reuid = ["--reuid=root"] if group else []
            argv = ["setpriv", f"--bounding-set=-all,{caps}", *reuid, *group, *argv]
        return self.argv(argv)

    def files(self) -> set[str]:
        """Every file and folder but those of mounts, caches and logs."""
        found = set()
        for folder, folders, names in os.walk(self.path):
            at = f"/{Path(folder).relative_to(self.path)}".replace("/.", "/")
            folders[:] = [one for one in folders if not _passing(f"{at}/{one}".replace("//", "/"))]
            found |= {f"{at}/{name}".replace("//", "/") for name in [*names, *folders]}
        return {one for one in found if not _passing(one)}


def _passing(path: str) -> bool:
    """What a package manager and a boot leave anyway."""
    roots = ("/proc", "/dev", "/sys", "/run", "/tmp", "/mnt", "/root", "/var/cache", "/var/log")
    more = ("/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd", "/var/tmp", "/var/backups")
    return any(path == one or path.startswith(f"{one}/") for one in (*roots, *more))


def make(folder: Path, suite: str = "bookworm") -> PiRoot:
    """A minimal root of ``suite`` in ``folder``, from this machine's own sources of packages."""
    argv = [
        *("mmdebstrap", "--variant=minbase", "--include=systemd,ca-certificates"),
        *(suite, str(folder)),
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=MAKE_S)
    made = PiRoot(folder)
    certificates = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "PIP_CERT")]
    apt = [
        str(one) for one in Path("/etc/apt/apt.conf.d").iterdir() if "Acquire" in one.read_text()
    ]
    for name in (*SHARED, *certificates, *apt):
        source, target = Path(name), folder / name.lstrip("/")
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(source, target)
    return made
