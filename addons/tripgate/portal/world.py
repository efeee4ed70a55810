"""What the portal knows of the gateway, and what it is told at start.

Rules
1. The portal reads the book as the gateway has it in memory, and the ledger by itself; it changes
   nothing but the book, by compare-and-set.
2. Who a client is, the gateway says: by its address in the explicit mode, by the hardware behind
   that address in the router mode. What a request claims of itself counts for nothing.
"""

from dataclasses import dataclass
from typing import Protocol

from tripgate.core.book import Book
from tripgate.core.model import Device, Target
from tripgate.ledger.protocol import Ledger, Registry


class World(Protocol):
    """The gateway, as narrow as the portal needs it."""

    @property
    def book(self) -> Book: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def registry(self) -> Registry: ...

    def now(self) -> int:
        """UTC epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def trusted(self) -> bool:
        """May a past period count as over?"""

    def pays(self) -> Target | None:
        """The plan that what moves now is of."""

    def recognise(self, peer: str, local: str) -> str | None:
        """The identity of the client at ``peer`` that reached the address ``local``.

        ``None``: it is not served.
        """

    async def enrol(self, identity: str) -> Device:
        """The device of a client, entered as pending when it is new.

        Raises :class:`LedgerDown`, or :class:`BookError` when the book is full.
        """

    async def reload(self) -> None:
        """Follow the book at once after an edit. Raises :class:`LedgerDown`."""


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """``names`` are host names of the portal besides the address that a request came in on.

    ``url`` is where devices find it (router mode); with ``captive`` every other host is answered
    with a redirect there. ``wire`` says that whole packets are counted, not bytes of connections.
    """

    names: frozenset[str] = frozenset({"localhost"})
    url: str = ""
    captive: bool = False
    wire: bool = False
