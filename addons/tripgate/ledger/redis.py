"""The ledger in Redis or Valkey: what is atomic is a script (``lua/``), the rest is reading."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, cast

from tripgate.core.model import Counter, Period, Target
from tripgate.ledger import keys, trouble, wire
from tripgate.ledger.connection import TIMEOUT_S, Connection
from tripgate.ledger.protocol import (
    Fenced,
    Grant,
    GrantRequest,
    NewerState,
    Settlement,
    Tallies,
)

AT_ONCE = 500


class RedisLedger:
    """A :class:`~tripgate.ledger.protocol.Ledger` at ``url``."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = Connection(url, timeout_s)
        self._gateway = self._instance = ""

    async def claim(self, gateway: str, instance: str, previous: str | None, now: int) -> None:
        await self._connection.check()
        status, *rest = await self._connection.run(
            "claim", gateway, instance, previous or "", str(now), str(keys.SCHEMA)
        )
        if status == "newer":
            raise newer(rest[0])
        if status == "fenced":
            raise Fenced(
                f"gateway {gateway} is running elsewhere on this ledger: stop it, or wait 10 s"
            )
        self._gateway, self._instance = gateway, instance

    async def release(self) -> None:
        await self._connection.run("release", self._gateway, self._instance)

    async def grant(self, request: GrantRequest) -> Grant:
        if not self._gateway:
            raise Fenced("no gateway was claimed on this ledger: claim one first")
        answer = await self._connection.run(
            "grant", wire.grant(request, self._gateway, self._instance)
        )
        if answer[0] == "fenced":
            raise Fenced(f"gateway {self._gateway} was started elsewhere: only one may run")
        if answer[0] == "stale":
            return Grant(request.have, stale=True)
        return wire.granted(answer, request)

    async def settle(
        self, rows: Sequence[Settlement], seen: Mapping[str, int], now: int
    ) -> tuple[int, ...]:
        call = wire.settle(rows, seen, now, self._gateway, self._instance)
        return tuple(map(int, await self._connection.run("settle", call)))

    async def open_leases(self) -> tuple[str, ...]:
        with trouble.told(self._connection.address):
            found = await cast(Awaitable[set[str]], self._connection.redis.smembers(keys.OPEN))
        return tuple(sorted(found))

    async def tallies(self, targets: Sequence[Target]) -> Tallies:
        names = [f"{keys.PREFIX}scope:{target}" for target in targets]
        *scopes, seen = map(_pairs, await self._connection.run("read", *names, keys.SEEN))
        counters: dict[tuple[Target, Period], Counter] = {}
        for target, scope in zip(targets, scopes, strict=True):
            counters |= self._counters(target, scope)
        return Tallies(counters, self._numbers(keys.SEEN, seen))

    def _counters(
        self, target: Target, scope: Mapping[str, str]
    ) -> dict[tuple[Target, Period], Counter]:
        numbers = self._numbers(f"scope:{target}", scope)
        return {
            (target, period): Counter(
                numbers[f"{period}.start"],
                numbers.get(f"{period}.used", 0),
                numbers.get(f"{period}.reserved", 0),
            )
            for period in Period
            if f"{period}.start" in numbers
        }

    async def buckets(self, names: Sequence[str]) -> tuple[Mapping[str, int], ...]:
        found: list[Mapping[str, int]] = []
        for at in range(0, len(names), AT_ONCE):
            part = names[at : at + AT_ONCE]
            async with self._connection.pipeline() as pipeline:
                for name in part:
                    pipeline.hgetall(keys.PREFIX + name)
                raw = await pipeline.execute()
            found += map(self._numbers, part, raw)
        return tuple(found)

    def _numbers(self, key: str, raw: Mapping[str, Any]) -> dict[str, int]:
        try:
            return {field: int(value) for field, value in raw.items()}
        except ValueError:
            raise trouble.damaged(self._connection.address, key) from None

    async def ping(self) -> None:
        """Also checks that the server is fit for a ledger."""
        await self._connection.check()

    async def aclose(self) -> None:
        await self._connection.aclose()


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def newer(schema: str) -> NewerState:
    """The state's schema is not one that this program knows."""
    return NewerState(
        f"the ledger was written by a newer tripgate (schema {schema[:20]}, this one knows "
        f"{keys.SCHEMA}): use that version"
    )
