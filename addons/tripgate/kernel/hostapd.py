"""hostapd as a child, and its control socket.

Rules
1. Both files hold keys and have mode 0600 in the state folder; nothing secret is in an argument.
2. The control protocol (hostapd ``ctrl_iface.c``): one datagram asks, one answers; ``OK`` or
   ``FAIL``. Lines that begin with ``<`` are events and no answers.
3. At run time the Network Cost element changes (``SET vendor_elements``, ``UPDATE_BEACON``) and the
   keys of persons (``RELOAD_WPA_PSK``). No other station is disconnected by it.
"""

import asyncio
import shutil
import socket
from pathlib import Path

from tripgate.core import hostapdconf
from tripgate.core.hostapdconf import AccessPoint
from tripgate.durable import replace_file
from tripgate.kernel.children import PATH, Spec

NAME = "hostapd"
ANSWER_S = 2.0
ANSWER_MOST = 4096


class HostapdError(Exception):
    """hostapd does not answer, or refuses."""


def access_point(point: AccessPoint, folder: Path) -> Spec:
    """Write the configuration; how to start it. ``OSError``.

    Elements and the keys of persons change without a restart (:func:`set_elements`,
    :func:`reload_keys`): they are not part of the fingerprint.
    """
    text = hostapdconf.text(point)
    conf = folder / "hostapd.conf"
    replace_file(Path(point.psk_file), hostapdconf.psk_text(point), 0o600)
    replace_file(conf, text, 0o600)
    told = [line for line in text.split("\n") if not line.startswith("vendor_elements=")]
    program = shutil.which("hostapd", path=PATH) or "hostapd"
    return Spec(NAME, (program, str(conf)), "\n".join(told))


async def set_elements(control: Path, elements: str) -> None:
    """Beacons carry ``elements`` (hexadecimal) from now on. Raises :class:`HostapdError`.

    ``control`` is hostapd's socket: ``ctrl_interface`` and the interface's name.
    """
    await _do(control, f"SET vendor_elements {elements}")
    await _do(control, "UPDATE_BEACON")


async def reload_keys(control: Path) -> None:
    """The file with the keys of persons was written anew. Raises :class:`HostapdError`."""
    await _do(control, "RELOAD_WPA_PSK")


async def _do(control: Path, command: str) -> None:
    answer = await ask(control, command)
    if answer != "OK":
        raise HostapdError(f"hostapd refuses {command.split()[0]}: {ascii(answer)[:60]}")


async def ask(control: Path, command: str) -> str:
    """The answer to one command. Raises :class:`HostapdError`."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        try:
            client.bind("")  # an address of the kernel's choice, for the answer
            client.connect(str(control))
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_sendall(client, command.encode())
                while (answer := await loop.sock_recv(client, ANSWER_MOST)).startswith(b"<"):
                    pass
        except (OSError, TimeoutError) as error:
            raise HostapdError(f"hostapd does not answer at {control}: is it running?") from error
    return answer.decode("ascii", "backslashreplace").strip()
