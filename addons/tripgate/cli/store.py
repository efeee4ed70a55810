"""The ledger that a state folder names: opened for one command, closed after it.

Rules
1. The state folder's ``redis.url`` says where the ledger is; without it no gateway was ever
   started there.
2. Whether the clock is trusted is what the live gateway says, else what the kernel says.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tripgate.cli.control import ask
from tripgate.cli.failure import NoGateway
from tripgate.clock import kernel_synchronised
from tripgate.ledger.protocol import Ledger, Registry
from tripgate.statefind import find
from tripgate.statefolder import StateFolder

WIRE, SOCKETS = "l3-bytes", "upstream-bytes"


@dataclass(frozen=True, slots=True)
class Store:
    """An open ledger with its settings. ``trusted``: may a past period count as over?

    ``present``: what the live gateway knows of devices on its LAN, by id (router mode).
    """

    ledger: Ledger
    registry: Registry
    trusted: bool
    present: Mapping[str, Any] = field(default_factory=dict)
    counted: str = SOCKETS
    """Which bytes are counted: :data:`WIRE` in the router mode, else :data:`SOCKETS`."""


def no_gateway(folder: StateFolder) -> NoGateway:
    """Nothing answers for this folder."""
    return NoGateway(f"no gateway is running for {folder.path}: start it with ./deploy/up")


def trusted(status: Mapping[str, Any]) -> bool:
    """Rule 2."""
    return status["clock"] == "trusted" if "clock" in status else kernel_synchronised()


def _counted(folder: StateFolder) -> str:
    """The kernel's counts have a page in the state folder: of the router mode, running or not."""
    return WIRE if (folder.path / "posted").exists() else SOCKETS


@asynccontextmanager
async def opened(state: Path | None) -> AsyncIterator[Store]:
    """The ledger of the folder that ``--state`` or the environment names.

    Raises :class:`NoGateway`; what is done with it may raise ``LedgerDown``.
    """
    from tripgate.ledger.redis import RedisLedger
    from tripgate.ledger.registry import RedisRegistry

    folder = find(state)
    url = folder.read_redis_url()
    if url is None:
        raise no_gateway(folder)
    ledger, registry = RedisLedger(url), RedisRegistry(url)
    status = ask(folder.control_socket) or {}
    present = status.get("present")
    try:
        live = present if isinstance(present, dict) else {}
        yield Store(ledger, registry, trusted(status), live, _counted(folder))
    finally:
        await ledger.aclose()
        await registry.aclose()
