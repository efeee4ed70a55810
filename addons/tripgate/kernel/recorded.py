"""Values of the machine that the gateway changes: recorded first, put back at a clean stop.

Rules
1. The value that was found is on disk before it is changed; it is recorded once, so that a start
   after a crash does not take the gateway's own value for the machine's.
2. What is put back is forgotten. What is gone meanwhile (an interface) is forgotten too.
3. Order matters: values are put back in the opposite order of their change.
"""

import contextlib
import json
import logging
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tripgate.durable import replace_file

_SYSCTL = Path("/proc/sys")
_MOST = 256 * 1024

log = logging.getLogger("tripgate.recorded")


class Recorded:
    """The record at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = self._load()

    def _load(self) -> dict[str, str]:
        try:
            document = json.loads(self._path.read_bytes()[:_MOST])
        except FileNotFoundError:
            return {}
        except ValueError:
            log.error("%s is damaged: what was changed before cannot be put back", self._path)
            return {}
        if not isinstance(document, dict):
            return {}
        return {key: value for key, value in document.items() if isinstance(value, str)}

    def sysctl(self, name: str, value: str) -> None:
        """Set ``net/ipv4/ip_forward`` and the like. Raises ``OSError``."""
        self._change(f"sysctl {name}", value, _get_sysctl, _set_sysctl)

    def link(self, interface: str, setting: str, value: str) -> None:
        """Set ``gso_max_segs`` or an offload (``gro``) of an interface. Raises ``OSError``."""
        self._change(f"link {interface} {setting}", value, _get_link, _set_link)

    def _change(
        self,
        key: str,
        value: str,
        get: Callable[[str], str],
        put: Callable[[str, str], None],
    ) -> None:
        found = get(key)
        if found == value:
            return
        if key not in self._values:
            self._save({**self._values, key: found})
        put(key, value)

    def put_back(self) -> None:
        """Restore everything, the latest change first; never fails."""
        for key, value in reversed(self._values.items()):
            put = _set_link if key.startswith("link ") else _set_sysctl
            try:
                put(key, value)
            except OSError as error:
                log.warning("%s is not put back: %s", key, error.strerror or error)
        with contextlib.suppress(OSError):
            self._save({})

    def _save(self, values: Mapping[str, str]) -> None:
        replace_file(self._path, json.dumps(values, indent=1) + "\n", 0o600)
        self._values = dict(values)


def _get_sysctl(key: str) -> str:
    return (_SYSCTL / key.removeprefix("sysctl ")).read_text(encoding="ascii").strip()


def _set_sysctl(key: str, value: str) -> None:
    (_SYSCTL / key.removeprefix("sysctl ")).write_text(value, encoding="ascii")


def _get_link(key: str) -> str:
    _, interface, setting = key.split(" ")
    if setting == "gso_max_segs":
        shown = json.loads(_run("ip", "-d", "-j", "link", "show", "dev", interface))
        return str(shown[0].get(setting, 65535))
    for line in _run("ethtool", "-k", interface).splitlines():
        name, _, state = line.strip().partition(": ")
        if name == _FEATURES[setting]:
            return state.split()[0]
    return "off"


def _set_link(key: str, value: str) -> None:
    _, interface, setting = key.split(" ")
    if setting == "gso_max_segs":
        _run("ip", "link", "set", "dev", interface, setting, value)
    else:
        _run("ethtool", "-K", interface, setting, value)


_FEATURES = {"gro": "generic-receive-offload", "gso": "generic-segmentation-offload",
             "tso": "tcp-segmentation-offload"}  # fmt: skip


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise OSError(f"{argv[0]}: {error.stderr.strip()[:200]}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{argv[0]} does not end") from error
    return done.stdout
