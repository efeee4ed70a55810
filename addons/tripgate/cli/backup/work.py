"""Making a backup and restoring it: which steps, in which order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tripgate.cli.backup import ledger as stored
from tripgate.cli.backup.file import Header, Item, Writer, read
from tripgate.cli.cells import instant
from tripgate.cli.failure import Refused
from tripgate.core import bookcodec
from tripgate.core.book import EMPTY, Book
from tripgate.ledger.connection import Connection
from tripgate.ledger.protocol import Edit
from tripgate.ledger.redis import RedisLedger
from tripgate.ledger.registry import RedisRegistry

RUNNING = "a gateway is running on this ledger: stop it, then restore"


@dataclass(slots=True)
class Content:
    """What is kept of a checked file while it is restored."""

    header: Header
    book: Book = EMPTY
    version: int = 0
    keys: int = 0
    leases: list[Item] = field(default_factory=list)

    def take(self, item: Item) -> None:
        self.keys += 1
        if item.key == "book":
            self.book = bookcodec.load(item.value)
        elif item.key == "version":
            self.version = int(item.value)
        elif item.key.startswith("lease:"):
            self.leases.append(item)


async def make(url: str, path: Path, gateway: str | None, now: int) -> tuple[int, int]:
    """Write the ledger at ``url`` to ``path``; how many keys and bytes. Raises ``LedgerDown``."""
    async with _connected(url) as connection:
        header = Header(await stored.schema(connection), str(instant(now)), gateway)
        registry = RedisRegistry(url)
        try:
            await registry.load()  # refuses a newer schema and a damaged book
        finally:
            await registry.aclose()
        try:
            file = Writer(path, header)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            async for item in stored.items(connection):
                file.add(item)
            return file.count, file.close()
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            file.abandon()


def check(path: Path) -> Content:
    """Read the whole file. Raises :class:`Refused`."""
    content: Content | None = None
    for part in read(path):
        if isinstance(part, Header):
            content = Content(part)
        elif content is not None:
            content.take(part)
    if content is None:
        raise Refused(f"{path} is empty: name a file that `tripgate backup` made")
    return content


async def restore(url: str, path: Path, content: Content, gateway: str, edit: Edit) -> None:
    """Put a checked backup in place of what the ledger at ``url`` holds.

    ``gateway``: whose open leases are left to its own journal.
    Raises ``LedgerDown``, :class:`Refused`.
    """
    ledger, registry = RedisLedger(url, stored.TIMEOUT_S), RedisRegistry(url, stored.TIMEOUT_S)
    async with _connected(url) as connection:
        try:
            await ledger.ping()
            if await stored.alive(connection, edit.at):
                raise Refused(RUNNING)
            version = max(content.version, await stored.version(connection))
            await stored.clear(connection)
            items = (part for part in read(path) if isinstance(part, Item))
            await stored.put(connection, stored.with_reserves(items, content.leases))
            rows = stored.orphans(content.leases, gateway, content.book, edit.at)
            await stored.charge(ledger, rows, edit.at)
            await stored.set_version(connection, version)
            if not await registry.replace(version, content.book, edit):
                raise Refused(RUNNING)
        finally:
            await ledger.aclose()
            await registry.aclose()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    connection = Connection(url, stored.TIMEOUT_S)
    try:
        yield connection
    finally:
        await connection.aclose()


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path}: {error.strerror}: name a file that can be written")
