"""The book of settings in Redis: compare-and-set, audited, with notice to everybody who listens.

Rules
1. A book that could not be read again is not written.
2. An edit has an id: one whose answer was lost is repeated and finds that it was done.
3. Notices have no content: whoever gets one reads the book. The first comes when the listening
   begins, so that nothing falls between a read and that.
4. The listening ends when Redis is gone, also silently: it must answer a ping every ``PING_S``.
"""

import secrets
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio.client import PubSub

from tripgate.core import bookcodec
from tripgate.core.book import Book, BookError
from tripgate.ledger import keys, trouble, wire
from tripgate.ledger.connection import TIMEOUT_S, Connection
from tripgate.ledger.protocol import AuditEntry, Edit, LedgerDown, NewerState
from tripgate.ledger.redis import newer

PING_S = 5.0
TEXT_MOST = 500


class RedisRegistry:
    """A :class:`~tripgate.ledger.protocol.Registry` at ``url``."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, ping_s: float = PING_S) -> None:
        self._connection = Connection(url, timeout_s)
        self._ping_s = ping_s

    async def load(self) -> tuple[int, Book]:
        with trouble.told(self._connection.address):
            found: list[Any] = await self._connection.redis.mget(
                keys.SCHEMA_KEY, keys.VERSION, keys.BOOK
            )
        schema, version, text = found
        if self._number(keys.SCHEMA_KEY, schema) > keys.SCHEMA:
            raise newer(schema)
        try:
            return self._number(keys.VERSION, version), bookcodec.load(text or "")
        except bookcodec.NewerBook as error:
            raise NewerState(str(error)) from error
        except BookError as error:
            raise LedgerDown(str(error)) from error

    async def replace(self, version: int, book: Book, edit: Edit) -> bool:
        status, *rest = await self._connection.run(
            "replace",
            *(str(version), wire.book(book), secrets.token_hex(8)),
            *(part[:TEXT_MOST] for part in (edit.actor, edit.action, edit.detail)),
            *(str(edit.at), str(keys.SCHEMA)),
            *(device for fold in edit.folds for device in fold),
        )
        if status == "newer":
            raise newer(rest[0])
        return bool(status == "ok")

    async def changes(self) -> AsyncIterator[None]:
        try:
            async with self._connection.alone() as client, client.pubsub() as listener:
                await listener.subscribe(keys.CHANGED)
                while await self._next(listener):
                    yield
        except LedgerDown:
            return

    async def _next(self, listener: PubSub) -> bool:
        """Wait for a notice; ``False``: Redis is gone."""
        pinged = False
        while True:
            message: dict[str, Any] | None = await listener.get_message(timeout=self._ping_s)
            if message is None:
                if pinged:
                    return False
                await listener.ping()
                pinged = True
            elif message["type"] in ("subscribe", "message"):
                return True
            else:
                pinged = False

    async def audit(self, count: int = 100) -> tuple[AuditEntry, ...]:
        with trouble.told(self._connection.address):
            entries: Any = await self._connection.redis.xrevrange(keys.AUDIT, count=count)
        return tuple(
            AuditEntry(
                self._number(keys.AUDIT, entry.get("at")),
                *(str(entry.get(key, "")) for key in ("actor", "action", "detail")),
            )
            for _, entry in entries
        )

    def _number(self, key: str, value: Any) -> int:
        try:
            return int(value or 0)
        except ValueError:
            raise trouble.damaged(self._connection.address, key) from None

    async def aclose(self) -> None:
        await self._connection.aclose()
