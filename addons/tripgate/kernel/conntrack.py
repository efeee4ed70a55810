"""Connections that the kernel keeps for somebody who is gone.

Rules
1. An address that has another owner has nothing of the old one: what the uplink still sends to it
   finds no entry, is nobody's, and is dropped.
2. Nothing here fails: an entry that is left ends by its own timeout, and without a slot's quota
   nothing of it passes.
"""

import logging
from collections.abc import Sequence

from tripgate.core.address import IPAddress
from tripgate.kernel.command import CommandError, run

log = logging.getLogger("tripgate.conntrack")


def forget_address(address: IPAddress) -> None:
    """Delete what a client at ``address`` began."""
    family = "ipv4" if address.version == 4 else "ipv6"
    _delete(["-f", family, "-s", str(address)])


def forget_mark(mark: int) -> None:
    """Delete what belongs to a slot."""
    for family in ("ipv4", "ipv6"):
        _delete(["-f", family, "-m", str(mark)])


def _delete(words: Sequence[str]) -> None:
    try:
        run(["conntrack", "-D", *words])
    except CommandError as error:
        if "0 flow entries" not in str(error):
            log.warning("connections are not forgotten: %s", error)
