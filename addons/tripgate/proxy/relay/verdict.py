"""The seam of the decision: what it is asked, and what it may answer.

Rules
1. The decision is one synchronous call: it looks at what is in memory and waits for nothing.
2. It is asked again when the device's grant was refused: then it says with which page.
3. What it allows is still subject to the budget, the connection limits and the check of the
   destination.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tripgate.core import marks
from tripgate.core.policy import Verdict
from tripgate.proxy.account import Account

Address = tuple[str, int]


class Asked(NamedTuple):
    """A connection as the decision sees it.

    ``client`` and ``destination``: address and port as the socket has them (an IPv6 address without
    its scope). ``name``: what the first bytes named, in its one form. ``head``: what has been seen
    of an HTTP request, as it was sent; empty for everything else. ``slot``: whose MAC the first
    packet came from, as the kernel's rules have marked it; 0: nobody's.
    """

    client: Address
    destination: Address
    name: str | None
    head: bytes
    slot: int = marks.NOBODY


class Allow(NamedTuple):
    """``account`` pays; the upstream socket carries ``mark`` (0: none).

    ``name``: under which the bytes are counted; ``None``: what the first bytes named.
    ``portal``: it may go to private networks, for the login at the uplink's portal.
    ``policy``: what the policies have said of it, if they were asked.
    """

    account: Account
    mark: int
    name: str | None = None
    portal: bool = False
    policy: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """``reason`` is a label of ``tripgate_flows_total``; ``page`` a whole HTTP response, for plain
    HTTP only; without one the client is reset."""

    reason: str
    page: bytes = b""


Decide = Callable[[Asked], Allow | Refuse]
