"""The users of a Redis that holds a ledger: one for the gateway and its commands, and nobody else.

Rules
1. The user ``tripgate`` may call what is in ``COMMANDS``, on the ledger's keys and channels, and no
   more: a stolen password changes counts, and neither the server's settings nor other files.
2. Nobody can be ``default``, and yet it may do everything: in its name Redis 7.0 reads its file at
   the start, and what is in a transaction there and not allowed to it would be lost (today's Valkey
   asks nobody; that may change).
3. A password is told to the server by its SHA-256 alone.

``deploy/compose/configure`` runs without this package and says the same; a test compares the two.
"""

import hashlib

from tripgate.ledger.keys import PREFIX

NAME = "tripgate"
DEFAULT = "user default off resetpass ~* &* +@all\n"

COMMANDS = (
    *("evalsha", "script|load", "script|exists", "info", "ping", "multi", "exec", "scan", "type"),
    *("subscribe", "unsubscribe", "publish"),
    *("get", "set", "mget", "del", "exists", "rename", "expire", "expireat", "expiretime"),
    *("hget", "hset", "hdel", "hlen", "hmget", "hgetall", "hexists", "hincrby"),
    *("sadd", "srem", "smembers", "zadd", "zrem", "zrange", "zrangebyscore"),
    *("xadd", "xrange", "xrevrange"),
)
"""What the ledger, ``tripgate backup`` and ``tripgate doctor`` call, and what the ledger's scripts
do: they run with the rights of their caller."""


def gateway(digest: str, *more: str) -> str:
    """The line of the user ``tripgate``, who may also call ``more``. ``digest``: rule 3, in hex."""
    allowed = " ".join(f"+{name}" for name in (*COMMANDS, *more))
    return f"user {NAME} on #{digest} ~{PREFIX}* &{PREFIX}* -@all {allowed}\n"


def digest_of(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
