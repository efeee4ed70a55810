"""What the hours that the ledger keeps say: of the plan's end, of what policies have saved.

The plan pays for the gateway's own bytes and for those without an owner too: they are in its
forecast.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from tripgate.core import heldback, usage
from tripgate.core.book import Book
from tripgate.core.forecast import DAY_H, HOUR_S, Forecast, Rhythm, forecast, rhythm
from tripgate.core.limits import targets_of
from tripgate.core.model import NOBODYS
from tripgate.core.policy import Policy
from tripgate.ledger.protocol import Ledger

LOOK_BACK_S = 7 * DAY_H * HOUR_S


async def outlook(
    ledger: Ledger, book: Book, seen: Mapping[str, int], remaining: int | None, now: int
) -> Forecast:
    """At the pace of the last seven days. ``seen``: when each device was last seen; ``remaining``
    bytes of the plan, ``None``: unlimited. Raises ``LedgerDown``."""
    past, first = await _past(ledger, book, seen, now)
    people = {one.person for one in book.devices.values() if one.person}
    expires = book.plan.expires_at if book.plan else None
    return forecast(past, first, now, remaining=remaining, expires_at=expires, people=len(people))


async def pace(ledger: Ledger, book: Book, seen: Mapping[str, int], now: int) -> tuple[Rhythm, int]:
    """The rhythm of the last seven days, and of how many hours. Raises ``LedgerDown``."""
    past, first = await _past(ledger, book, seen, now)
    return rhythm(past, first, now), max(0, now // HOUR_S - -(-first // HOUR_S))


async def _past(
    ledger: Ledger, book: Book, seen: Mapping[str, int], now: int
) -> tuple[Counter[int], int]:
    """Bytes by hour, and the first hour that has some."""
    lately = [one for one in book.devices if seen.get(one, 0) > now - LOOK_BACK_S]
    past = await hours(ledger, [*lately, *NOBODYS], now - LOOK_BACK_S, now)
    return past, min((hour for hour, moved in past.items() if moved), default=now)


async def hours(ledger: Ledger, devices: list[str], since: int, until: int) -> Counter[int]:
    """Bytes of some devices together by the beginning of their hour (epoch seconds)."""
    past: Counter[int] = Counter()
    begun = range(since // HOUR_S * HOUR_S, until, HOUR_S)
    names = [f"use:{device}:hour:{hour}" for device in devices for hour in begun]
    for name, bucket in zip(names, await ledger.buckets(names), strict=True):
        moved = sum(volume for field, volume in bucket.items() if field != usage.OVERHEAD)
        past[int(name.rpartition(":")[2])] += moved
    return past


async def estimates(
    ledger: Ledger, book: Book, policies: Sequence[Policy], seen: Mapping[str, int], now: int
) -> dict[str, int | None]:
    """What each policy has saved, by its id. Raises ``LedgerDown``."""
    if not policies:
        return {}
    begun = min(heldback.since(one, now) for one in policies) - heldback.BEFORE_S
    devices = [one for one in book.devices if seen.get(one, 0) >= begun]
    reading = usage.hours_reading(devices, begun, now)
    buckets = await ledger.buckets(reading.names)
    made: dict[str, int | None] = {}
    for policy in policies:
        past: Counter[int] = Counter()
        first = now
        for name, device, bucket in zip(reading.names, reading.devices, buckets, strict=True):
            if bucket and policy.target in targets_of(book.devices[device]):
                hour = int(name.rpartition(":")[2])
                first = min(first, hour)
                past[hour] += _of(policy, bucket)
        made[policy.id] = heldback.saved(policy, past, first, now)
    return made


def _of(policy: Policy, bucket: Mapping[str, int]) -> int:
    """The bytes of what a policy is on."""
    return sum(
        volume
        for service, category, volume in usage.services(bucket)
        if heldback.concerns(policy, service, category)
    )
