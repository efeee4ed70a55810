"""Rules 4 to 6 of ``lua/replace.lua`` once more, in Python, for the ledger in memory."""

from collections.abc import Collection

from tripgate.core.model import device_target
from tripgate.ledger.memorystore import MemoryStore

FOLDS, MOST, MOST_HOSTS = 1000, 512, 64


def fold(store: MemoryStore, gone: str, heir: str) -> None:
    """Count what ``gone`` used for ``heir`` from now on (ids of devices)."""
    _counters(store, gone, heir)
    _leases(store, gone, heir)
    prefix = f"use:{gone}:"
    for name in [name for name in store.buckets if name.startswith(prefix)]:
        _bucket(store, name, f"use:{heir}:{name.removeprefix(prefix)}")
    store.seen.pop(gone, None)
    store.folded = {old: heir if now == gone else now for old, now in store.folded.items()}
    store.folded[gone] = heir


def forget_folds(store: MemoryStore, known: Collection[str]) -> None:
    """Rule 6."""
    for old in list(store.folded):
        if len(store.folded) > FOLDS or old in known:
            del store.folded[old]


def _counters(store: MemoryStore, gone: str, heir: str) -> None:
    source, target = device_target(gone), device_target(heir)
    for place in [place for place in store.counts if place[0] == source]:
        count, own = store.counts.pop(place), store.counts.get((target, place[1]))
        if own is None or own.start < count.start:
            store.counts[target, place[1]] = count
        elif own.start == count.start:
            own.used += count.used
            own.reserved += count.reserved
    store.life[target] = store.life.get(target, 0) + store.life.pop(source, 0)


def _leases(store: MemoryStore, gone: str, heir: str) -> None:
    source, target = device_target(gone), device_target(heir)
    for lease in store.leases.values():
        lease.at = {
            (target if place[0] == source else place[0], place[1]): start
            for place, start in lease.at.items()
        }


def _bucket(store: MemoryStore, name: str, into: str) -> None:
    fields, expires = store.buckets.pop(name), store.expires.pop(name, None)
    bucket = store.buckets.get(into)
    if bucket is None:
        store.buckets[into] = fields
        if expires is not None:
            store.expires[into] = expires
        return
    most = MOST_HOSTS if ":hosts:" in name else MOST
    for field, volume in fields.items():
        full = len(bucket) >= most and field not in bucket and field.endswith(("|u", "|d"))
        key = "other" + field[-2:] if full else field
        bucket[key] = bucket.get(key, 0) + volume
