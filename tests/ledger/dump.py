"""All that a ledger holds, in one form for Redis and for memory, to be compared."""

from typing import Any

import redis

from tripgate.ledger.memorystore import MemoryStore

PREFIX = "{plan}:"


def memory_state(store: MemoryStore) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for (target, period), count in store.counts.items():
        fields = {"start": count.start, "used": count.used, "reserved": count.reserved}
        if count.guess is not None:
            fields["guess"] = count.guess
        scope = counts.setdefault(str(target), {})
        scope |= {f"{period}.{name}": value for name, value in fields.items()}
    leases = {
        lease_id: {
            "granted": lease.granted,
            "settled": lease.settled,
            "open": lease.open,
            "device": lease.device,
            "at": {f"{target} {period}": start for (target, period), start in lease.at.items()},
        }
        for lease_id, lease in store.leases.items()
    }
    return {
        "counts": counts,
        "life": {str(target): used for target, used in store.life.items() if used},
        "leases": leases,
        "open": {lease_id for lease_id, lease in store.leases.items() if lease.open},
        "closed": {gateway: closed for gateway, closed in store.closed.items() if closed},
        "buckets": {name: dict(bucket) for name, bucket in store.buckets.items()},
        "sessions": {
            **{str(target): uplink for target, uplink in store.sessions.last.items()},
            **{
                f"{target} {uplink}": f"{one.session.id} {one.session.step} {one.trip} {one.ahead}"
                for (target, uplink), one in store.sessions.paid.items()
            },
        },
        "seen": dict(store.seen),
        "owners": {
            gateway: (owner.instance, owner.heard) for gateway, owner in store.owners.items()
        },
        "contact": {gateway: owner.contact for gateway, owner in store.owners.items()},
        "version": store.version,
        "schema": store.schema,
    }


def redis_state(client: "redis.Redis") -> dict[str, Any]:
    raw = _read(client)
    scopes = {key: _numbers(value) for key, value in _under(raw, "scope:").items()}
    life = {key: scope.pop("life.used", 0) for key, scope in scopes.items()}
    owners = _under(raw, "gateway:")
    contact = _numbers(raw.get("contact", {}))
    return {
        "counts": {key: scope for key, scope in scopes.items() if scope},
        "life": {key: used for key, used in life.items() if used},
        "leases": {key: _lease(fields) for key, fields in _under(raw, "lease:").items()},
        "open": raw.get("open", set()),
        "closed": _under(raw, "closed:"),
        "buckets": {"use:" + key: _numbers(fields) for key, fields in _under(raw, "use:").items()},
        "sessions": raw.get("sessions", {}),
        "seen": _numbers(raw.get("seen", {})),
        "owners": {key: (one["instance"], int(one["heard"])) for key, one in owners.items()},
        "contact": {key: contact.get(key, 0) for key in owners},
        "version": int(raw.get("version", 0)),
        "schema": int(raw.get("schema", 0)),
    }


def _read(client: "redis.Redis") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in client.scan_iter(PREFIX + "*"):
        name = key.removeprefix(PREFIX)
        match client.type(key):
            case "hash":
                found[name] = client.hgetall(key)
            case "set":
                found[name] = client.smembers(key)
            case "zset":
                found[name] = {member: int(at) for member, at in client.zscan_iter(key)}
            case "string":
                found[name] = client.get(key)
    return found


def _under(raw: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): raw[key] for key in raw if key.startswith(prefix)}


def _numbers(fields: dict[str, str]) -> dict[str, int]:
    return {field: int(value) for field, value in fields.items()}


def _lease(fields: dict[str, str]) -> dict[str, Any]:
    at = {key.removeprefix("at:"): int(value) for key, value in fields.items() if "at:" in key}
    return {
        "granted": int(fields["granted"]),
        "settled": int(fields["settled"]),
        "open": fields["state"] == "open",
        "device": fields["device"],
        "at": at,
    }
