"""Connections to one Redis: bounded in number and in time, with errors in words.

Rules
1. A call takes at most ``TIMEOUT_S`` to connect and as much to answer. One that finds its
   connection closed (Redis was started again) is tried once more; every script bears repetition.
2. A server that would lose or evict counters, or does not know the scripts, is refused: it must be
   a primary of Redis 7.0 or Valkey that evicts nothing.
3. RESP2 (``protocol=2``): nothing of the third version is needed, and every server speaks it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import Connection as TcpConnection
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as Disconnected

from tripgate.ledger import address, scripts, trouble
from tripgate.ledger.address import Address
from tripgate.ledger.protocol import LedgerDown

TIMEOUT_S = 1.0
CONNECTIONS = 16

_CLASSES = {
    "unix": UnixDomainSocketConnection,
    "redis": TcpConnection,
    "rediss": SSLConnection,
}
_VERSION = re.compile(r"([0-9]+)\.")


class Connection:
    """Redis at ``url``. Nothing is connected before the first call."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address.parse(url)
        self._timeout_s = timeout_s
        self.redis = self._client(self.address, retries=1)
        self._scripts = {
            name: self.redis.register_script(scripts.source(name))
            for name in ("claim", "grant", "settle", "read", "refield", "release", "replace")
        }

    def _client(self, where: Address, retries: int) -> "Redis":
        pool = BlockingConnectionPool(
            connection_class=_CLASSES[where.scheme],
            max_connections=CONNECTIONS,
            timeout=self._timeout_s,
            **_options(where),
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), retries, (Disconnected,)),
            decode_responses=True,
            protocol=2,
        )
        return Redis.from_pool(pool)

    async def run(self, script: str, *args: str) -> list[Any]:
        """Run a script of ``lua/``; its answer."""
        with trouble.told(self.address):
            answer: list[Any] = await self._scripts[script](args=args)
            return answer

    async def check(self) -> None:
        """Raises :class:`LedgerDown` where the server is not fit for a ledger (rule 2)."""
        with trouble.told(self.address):
            info: dict[str, Any] = await self.redis.info()
        version = _VERSION.match(str(info.get("redis_version", "")))
        if version is None or int(version[1]) < 7:
            raise self._unfit("is too old: Redis 7.0 or Valkey, or later, is needed")
        if info.get("role") != "master":
            raise self._unfit("is a read-only replica: name its primary")
        if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
            raise self._unfit("would evict counters: set its maxmemory-policy to noeviction")

    async def answers_anybody(self) -> bool:
        """Is one answered who names no user and gives no password?"""
        client = self._client(replace(self.address, username=None, password=None), retries=0)
        try:
            with trouble.told(self.address):
                await client.ping()
        except LedgerDown as error:
            if _refused(error.__cause__):
                return False
            raise
        finally:
            await client.aclose()
        return True

    def _unfit(self, why: str) -> LedgerDown:
        return LedgerDown(f"Redis at {self.address} {why}")

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator["Pipeline"]:
        """Many commands in one exchange, not at one instant."""
        with trouble.told(self.address):
            async with self.redis.pipeline(transaction=False) as pipeline:
                yield pipeline

    @asynccontextmanager
    async def alone(self) -> AsyncIterator["Redis"]:
        """A client of its own, whose connection is not renewed behind the caller's back."""
        client = self._client(self.address, retries=0)
        try:
            with trouble.told(self.address):
                yield client
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


def _refused(error: BaseException | None) -> bool:
    """Refused for who asks: as such, or within the error of a connection that it ended."""
    causes = (error, error.__cause__) if error else ()
    return any(isinstance(one, AuthenticationError | NoPermissionError) for one in causes)


def _options(where: Address) -> dict[str, Any]:
    common = {"db": where.db, "username": where.username, "password": where.password}
    if where.scheme == "unix":
        return {**common, "path": where.place}
    return {**common, "host": where.place, "port": where.port}
