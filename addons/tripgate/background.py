"""Background use as the ledger's hours tell it: for command, advice and metric alike."""

from collections.abc import Collection, Sequence

from tripgate.core.drain import Piece, hours_of, pieces
from tripgate.core.usage import HOUR_S, hours_reading
from tripgate.ledger.protocol import Ledger


async def background(
    ledger: Ledger, devices: Sequence[str], since: int, until: int, shared: Collection[str]
) -> list[Piece]:
    """What devices (ids) used in the background in the hours from ``since`` on (epoch seconds).

    ``shared``: as in :func:`tripgate.core.drain.pieces`. Raises ``LedgerDown``.
    """
    begun = since // HOUR_S * HOUR_S
    reading = hours_reading(devices, begun - HOUR_S, until + 1)  # the hour before: who was there
    hours = hours_of(reading, await ledger.buckets(reading.names))
    return [piece for piece in pieces(hours, shared) if piece.at >= begun]
