"""dnsmasq as a child: its configuration in the state folder and how it is started.

Rule: only our file is read (``--conf-file``), so what the machine's own dnsmasq has in ``/etc``
says nothing here. The program gives up root by itself, for the user
``dnsmasq`` where the machine has one (Debian's package makes it), else for ``nobody``.
"""

import contextlib
import pwd
import shutil
from pathlib import Path

from tripgate.core.dnsmasqconf import Lan, Resolver, captive_text, resolver_text
from tripgate.durable import replace_file
from tripgate.kernel.children import PATH, Spec

RESOLVER = "dnsmasq-resolver"
CAPTIVE = "dnsmasq-captive"


def resolver(told: Resolver, folder: Path) -> Spec:
    """Write the resolver's configuration; how to start it. ``ValueError``, ``OSError``."""
    return _spec(RESOLVER, resolver_text(told), folder)


def captive(lan: Lan, port: int, folder: Path) -> Spec:
    """The same for the instance that answers devices that are not open."""
    return _spec(CAPTIVE, captive_text(lan, port), folder)


def _spec(name: str, text: str, folder: Path) -> Spec:
    conf = folder / f"{name}.conf"
    replace_file(conf, text, 0o600)
    program = shutil.which("dnsmasq", path=PATH) or "dnsmasq"
    return Spec(name, (program, f"--conf-file={conf}", f"--user={_user()}"), text)


def _user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("dnsmasq").pw_name
    return "nobody"
