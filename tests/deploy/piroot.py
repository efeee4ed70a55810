"""A Debian of its own: a root made by mmdebstrap, entered by chroot and in its own mount namespace.

Rules
1. The root gets what this machine needs to reach its package sources (resolver, certificates, the
   configuration of apt and pip), and the checkout, read-only in ``/mnt``.
2. Its systemd is started in namespaces of its own (:class:`Booted`), so that the units run in
   their sandbox; where a test does not boot it, it is only a folder.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab import Lab, wait_until

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

    def files(self) -> set[str]:
        """Every file and folder but those of mounts, caches and logs."""
        found = set()
        for folder, folders, names in os.walk(self.path):
            at = f"/{Path(folder).relative_to(self.path)}".replace("/.", "/")
            folders[:] = [one for one in folders if not _passing(f"{at}/{one}".replace("//", "/"))]
            found |= {f"{at}/{name}".replace("//", "/") for name in [*names, *folders]}
        return {one for one in found if not _passing(one)}


BOOT = """
mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1" || exit 125
mount --bind "$2" mnt && mount -o remount,bind,ro mnt
mount -t proc proc proc && mount -t sysfs sysfs sys && mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp && mount -t tmpfs tmpfs dev && mkdir dev/shm dev/pts dev/mqueue old
for name in null zero full random urandom tty; do
  touch "dev/$name" && mount --bind "/dev/$name" "dev/$name"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts && ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm && touch dev/console
mount -t cgroup2 cgroup2 sys/fs/cgroup || mount --rbind /sys/fs/cgroup sys/fs/cgroup
pivot_root . old && umount -l /old && rmdir /old
exec env -i container=lab PATH="$3" /lib/systemd/systemd --unit=multi-user.target
"""


@dataclass(frozen=True)
class Booted:
    """A root whose systemd runs as the gateway of ``lab``: in its network namespace, and in
    process, mount and control group namespaces of its own."""

    lab: Lab
    init: int

    @classmethod
    def boot(cls, root: PiRoot, lab: Lab) -> "Booted":
        spaces = ("-m", "-p", "-f", "--kill-child", "-u", "-i", "-C")
        argv = ["unshare", *spaces, "sh", "-c", BOOT, "sh", str(root.path), str(ROOT), PATH]
        process = lab.spawn(lab.gateway, argv)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: bool(children.read_text().split()), "an init", 30)
        made = cls(lab, int(children.read_text().split()[0]))
        wait_until(lambda: made.run("systemctl", "is-active", "dbus.socket", "basic.target")
                   .stdout.strip().endswith("active"), "a booted systemd", 90)  # fmt: skip
        return made

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """``command`` inside."""
        spaces = ("-m", "-p", "-n", "-i", "-u", "-C", "-r", "-w")
        argv = ["nsenter", "-t", str(self.init), *spaces, "env", "-i", f"PATH={PATH}", "HOME=/root"]
        return subprocess.run(
            [*argv, *command], capture_output=True, text=True, timeout=120, check=False
        )

    def told(self, *command: str) -> str:
        """What a command that must succeed prints."""
        done = self.run(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def property(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it now."""
        return self.told("systemctl", "show", "--value", "-p", name, unit).strip()

    def shut_down(self) -> None:
        """All services end; the init with them."""
        self.run("systemctl", "stop", "tripgate")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)


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
