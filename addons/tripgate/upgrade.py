"""State of an older schema becomes state of this one, after a backup.

Rules
1. Nothing is changed before the backup is on the disk: ``before-schema-N`` in the state folder, for
   ``tripgate restore``. One that is there already is of an upgrade that was cut short, and stays.
2. Nobody else uses the ledger meanwhile: another gateway that was heard of is a reason to wait.
3. Every step is harmless when it is done again, and the schema is told last (by the claim).
"""

import logging
from pathlib import Path

from tripgate.cli.backup import ledger as stored
from tripgate.cli.backup.work import make
from tripgate.cli.failure import Refused
from tripgate.core.usagefields import renamed
from tripgate.ledger import keys, trouble
from tripgate.ledger.connection import Connection
from tripgate.ledger.protocol import LedgerDown

USE = keys.PREFIX + "use:"

log = logging.getLogger("tripgate.upgrade")


def backup_path(folder: Path) -> Path:
    """Rule 1."""
    return folder / f"before-schema-{keys.SCHEMA}"


async def upgrade(url: str, folder: Path, gateway: str, now: int) -> None:
    """Bring the ledger at ``url`` to this schema; one of this schema, or a newer one, is left
    alone. Raises ``LedgerDown``."""
    connection = Connection(url, stored.TIMEOUT_S)
    try:
        await connection.check()
        if await stored.schema(connection) >= keys.SCHEMA:
            return
        if await stored.alive(connection, now, but=gateway):
            raise LedgerDown("another gateway uses this older ledger: stop it, to upgrade")
        await _back_up(url, backup_path(folder), gateway, now)
        count = await _rename_fields(connection)
        log.warning("the ledger was upgraded to schema %d: %d fields", keys.SCHEMA, count)
    finally:
        await connection.aclose()


async def _back_up(url: str, path: Path, gateway: str, now: int) -> None:
    if path.exists():
        return
    try:
        await make(url, path, gateway, now)
    except Refused as error:
        raise LedgerDown(f"no upgrade without a backup: {error}") from None


async def _rename_fields(connection: Connection) -> int:
    """Each bucket by one run of a script; how many fields were renamed."""
    count = 0
    with trouble.told(connection.address):
        async for key in connection.redis.scan_iter(match=USE + "*", count=1000):
            bucket = str(key).removeprefix(keys.PREFIX)
            fields = map(str, await connection.redis.hgetall(key))
            pairs = [(old, renamed(bucket, old)) for old in fields]
            names = [name for old, new in pairs if old != new for name in (old, new)]
            if names:
                (renamed_now,) = await connection.run("refield", str(key), *names)
                count += int(renamed_now)
    return count
