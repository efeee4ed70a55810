"""The kernel's neighbour table of the LAN: which MAC answers for which address.

Rules
1. First the whole table (:class:`Table`), then each change (:class:`Named`, :class:`Vanished`);
   lost messages (the kernel says ENOBUFS) and every ``AGAIN_S`` seconds bring the whole table anew.
2. Entries count that name a MAC and are not failed, incomplete or without ARP (``NUD_*``,
   rtnetlink(7)). A stale one counts too, but tells nothing of when its device was last here: the
   kernel keeps it for hours.
3. Only the LAN's interface is looked at, found by name each time: it may come again with another
   index.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import rtnl
from pyroute2.netlink.exceptions import NetlinkError

from tripgate.core.address import IPAddress
from tripgate.core.mac import clean_mac

AGAIN_S = 30.0
RETRY_S = 1.0
TABLE_MOST = 8192
_NUD_INCOMPLETE, _NUD_REACHABLE, _NUD_FAILED, _NUD_NOARP = 0x01, 0x02, 0x20, 0x40

log = logging.getLogger("tripgate.neighbours")


@dataclass(frozen=True, slots=True)
class Table:
    """All there is. ``fresh``: addresses that the kernel has heard from just now."""

    entries: dict[IPAddress, str]
    fresh: frozenset[IPAddress] = frozenset()


@dataclass(frozen=True, slots=True)
class Named:
    """``mac`` answers for ``address``; ``fresh``: the kernel has heard from it just now."""

    address: IPAddress
    mac: str
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Vanished:
    """Nobody answers for ``address``."""

    address: IPAddress


Event = Table | Named | Vanished


async def follow(interface: str) -> AsyncIterator[Event]:
    """The table of ``interface``, then its changes, for ever."""
    while True:
        try:
            async for event in _session(interface):
                yield event
        except (OSError, NetlinkError) as error:
            log.warning("the neighbour table cannot be followed (%s): trying again", error)
            await asyncio.sleep(RETRY_S)


async def _session(interface: str) -> AsyncIterator[Event]:
    """One subscription, until messages were lost."""
    async with AsyncIPRoute() as subscription, AsyncIPRoute() as asking:
        await subscription.bind(groups=rtnl.RTMGRP_NEIGH)  # before the table: nothing is missed
        messages = _messages(subscription)
        pending: asyncio.Future[Any] | None = None
        try:
            while True:
                index, table = await _table(asking, interface)
                yield table
                until = asyncio.get_running_loop().time() + AGAIN_S
                while (left := until - asyncio.get_running_loop().time()) > 0:
                    pending = pending or asyncio.ensure_future(anext(messages))
                    done, _ = await asyncio.wait({pending}, timeout=left)
                    if not done:
                        break
                    event = _event(pending.result(), index)
                    pending = None
                    if event is not None:
                        yield event
        finally:
            if pending is not None:
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)


async def _messages(subscription: Any) -> AsyncIterator[Any]:
    while True:
        async for message in subscription.get():
            yield message


async def _table(asking: Any, interface: str) -> tuple[int, Table]:
    """The interface's index (0: it is not there) and its neighbours."""
    found = await asking.link_lookup(ifname=interface)
    if not found:
        return 0, Table({})
    fresh: set[IPAddress] = set()
    entries: dict[IPAddress, str] = {}
    async for message in await asking.neigh("dump", ifindex=found[0]):
        event = _event(message, found[0])
        if isinstance(event, Named) and len(entries) < TABLE_MOST:
            entries[event.address] = event.mac
            if event.fresh:
                fresh.add(event.address)
    return found[0], Table(entries, frozenset(fresh))


def _event(message: Any, index: int) -> Named | Vanished | None:
    """What a neighbour message says of the interface ``index``."""
    if message.get("ifindex") != index or not index:
        return None
    address = None
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(message.get("dst") or "")
    if address is None or message["state"] & _NUD_NOARP:
        return None
    mac = clean_mac(message.get("lladdr") or "")
    ended = message["event"] == "RTM_DELNEIGH"
    if ended or mac is None or message["state"] & (_NUD_INCOMPLETE | _NUD_FAILED):
        return Vanished(address)
    return Named(address, mac, bool(message["state"] & _NUD_REACHABLE))
