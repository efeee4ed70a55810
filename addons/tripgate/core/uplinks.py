"""Uplinks in the book: which cost nothing, and who logs in at their portal.

Rules
1. An uplink is known by the name of its interface; the explicit mode's one is ``default``. An
   uplink is metered until somebody says otherwise; of several in use all must be unmetered.
2. While that is so caps and pauses rest and no plan pays: what moves is in the
   record of usage, and in no counter of a cap, a plan or a person. Back on a metered uplink all of
   them go on where they stood.
3. Of several uplinks the preferred one carries what moves (:func:`tripgate.core.planbook.paying`
   says whose plan that is). Caps of devices and people hold on every uplink.
4. A hotel's portal is at a private address, which nobody is taken to. One owner's device is, for
   ``LOGIN_S``, counted and charged as ever.
"""

import re
from collections.abc import Collection
from dataclasses import replace

from tripgate.core.book import Book, BookError, find_device
from tripgate.core.model import Login

DEFAULT = "default"
MOST = 16
LOGIN_S = 600
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}")


def valid_uplink(name: str) -> bool:
    """As Linux names an interface, of plain letters: at most 15 (``IFNAMSIZ`` less the zero)."""
    return _NAME.fullmatch(name) is not None


def unmetered(book: Book, used: Collection[str]) -> bool:
    """Whether all uplinks that are ``used`` cost nothing; with none it is not so."""
    return bool(book.unmetered) and bool(used) and set(used) <= set(book.unmetered)


def set_unmetered(book: Book, name: str, free: bool) -> Book:
    """Say whether an uplink costs nothing. Raises :class:`BookError`."""
    if not valid_uplink(name):
        raise BookError(f"{name[:40]!r} is no uplink: `tripgate uplink show` names them")
    kept = [one for one in book.unmetered if one != name]
    if free and len(kept) >= MOST:
        raise BookError(f"there are {MOST} unmetered uplinks: set one metered first")
    return replace(book, unmetered=(*kept, name) if free else tuple(kept))


def log_in(book: Book, name: str | None, now: int) -> Book:
    """Let one owner's device reach an uplink's portal for ``LOGIN_S`` from ``now`` on.

    Without a name it is the only one there is. Raises :class:`BookError`.
    """
    owned = sorted(device.name for device in book.devices.values() if device.manages)
    if name is None and len(owned) != 1:
        told = f"name one with --device: {', '.join(owned[:5])}" if owned else NO_OWNER
        raise BookError(f"there are {len(owned)} devices of owners: {told}")
    device = find_device(book, name or owned[0])
    if not device.manages:
        raise BookError(f"{device.name} is no owner's device: {NO_OWNER}")
    return replace(book, login=Login(device.id, now + LOGIN_S))


NO_OWNER = "`tripgate admin claim` shows the code that makes one"
