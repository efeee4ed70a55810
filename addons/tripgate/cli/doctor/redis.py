"""The ledger's Redis: answers, and not everybody; is fit for a ledger, writes to its disk."""

from typing import Any

from tripgate.cli.cells import volume
from tripgate.cli.doctor.finding import Finding, Machine, fail, ok, warn
from tripgate.ledger.address import is_at
from tripgate.ledger.protocol import LedgerDown
from tripgate.statefolder import StateError


async def redis(machine: Machine) -> list[Finding]:
    """The Redis that the settings or the state folder name."""
    try:
        url = machine.redis or machine.folder.read_redis_url()
    except StateError as error:
        return [fail("redis", str(error), "the line says how")]
    try:
        if url is None or (machine.status is None and is_at(url, machine.folder.redis_socket)):
            return [ok("redis", "the embedded server starts with the gateway")]
        return await _look(url)
    except LedgerDown as error:
        return [fail("redis", str(error), "the line says how")]


async def _look(url: str) -> list[Finding]:
    """Raises ``LedgerDown`` where it does not answer or is not fit for a ledger."""
    from tripgate.ledger import trouble
    from tripgate.ledger.connection import Connection

    connection = Connection(url)
    try:
        await connection.check()
        with trouble.told(connection.address):
            info = await connection.redis.info()
        anybody = await connection.answers_anybody()
    finally:
        await connection.aclose()
    name = info.get("server_name", "redis")
    shown = info.get("valkey_version") or info.get("redis_version")
    where = f"{name} {shown} at {connection.address}"
    return [_guarded(where, anybody=anybody), _durable(info), _memory(info)]


def _guarded(where: str, *, anybody: bool) -> Finding:
    """Whoever changes a count asks for a password first."""
    if anybody:
        mend = (
            "give its users passwords (deploy/compose/configure shows the rights that are needed)"
        )
        return warn("redis", f"{where}; it answers whoever reaches it, with no password", mend)
    return ok("redis", where)


def _durable(info: dict[str, Any]) -> Finding:
    """The append-only file is on, and written."""
    if not info.get("aof_enabled"):
        mend = "set appendonly yes in its configuration: a power cut loses what is not on disk"
        return fail("persistence", "the append-only file is off", mend)
    states = {key: info.get(key) for key in ("aof_last_write_status", "aof_last_bgrewrite_status")}
    if any(state != "ok" for state in states.values()):
        return fail("persistence", "writing to the disk fails", "free some space; see its log")
    return ok("persistence", "append-only file")


def _memory(info: dict[str, Any]) -> Finding:
    """Nothing is evicted, and there is room."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if most and most - used < most // 10:
        detail = f"{volume(used)} of {volume(most)} used"
        return warn("memory", detail, "raise its maxmemory")
    limit = f", at most {volume(most)}, none evicted" if most else ""
    return ok("memory", f"{volume(used)} used{limit}")
