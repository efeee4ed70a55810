"""Ledgers for the contract tests: in memory, in Valkey, in Debian's Redis."""

from collections.abc import AsyncIterator

import pytest

from tests.ledger.worlds import MemoryWorld, RedisWorld, World
from tests.servers import (
    debian_redis_server,
    debian_redis_url,
    valkey_server,
    valkey_url,
)

__all__ = ["debian_redis_server", "debian_redis_url", "valkey_server", "valkey_url"]

SERVERS = ("valkey_url", "debian_redis_url")


@pytest.fixture(params=("memory", *SERVERS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty store of each kind."""
    made = (
        MemoryWorld()
        if request.param == "memory"
        else RedisWorld(request.getfixturevalue(request.param))
    )
    yield made
    await made.aclose()


@pytest.fixture(params=SERVERS)
def redis_url(request: pytest.FixtureRequest) -> str:
    """An empty server of each kind."""
    return str(request.getfixturevalue(request.param))
