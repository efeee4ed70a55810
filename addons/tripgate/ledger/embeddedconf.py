"""The configuration of the embedded server, its users and their password.

Rules
1. It listens on a Unix socket and nowhere else, and answers the user ``tripgate`` alone. Whoever
   may use the state folder may read that one's password.
2. What was answered is in the append-only file before the answer (kill -9 loses nothing) and on
   the disk within a second or two (a power cut may take that; the journal knows it).
3. Memory is bounded and nothing is evicted: when it is full, grants stop and settlements pass.
4. The password is made once, by whoever holds the folder's lock, and kept in a file of its own.
"""

import re
import secrets
import stat
from pathlib import Path

from tripgate.durable import replace_file
from tripgate.ledger import users as rights

CONF = "valkey.conf"
USERS = "users.acl"
PASSWORD = "password"  # noqa: S105  # the name of a file
PID = "valkey.pid"
LOG = "valkey.log"

_CONF = """\
# Written by tripgate at every start of the server.
# {program}
# {socket}
dir ./
port 0
unixsocketperm {mode:o}
aclfile {users}
maxclients 512
databases 1
daemonize no
pidfile {pid}
logfile ""
loglevel warning
always-show-logo no

appendonly yes
appendfsync everysec
save ""
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 16mb

maxmemory 256mb
maxmemory-policy noeviction
hash-max-listpack-entries 512
hash-max-listpack-value 64
"""


_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def text(program: Path, socket: Path) -> str:
    """What the server is told; another program or socket makes another text."""
    return _CONF.format(
        program=ascii(str(program)),
        socket=ascii(str(socket)),
        mode=0o660 if _is_shared(socket) else 0o600,
        users=USERS,
        pid=PID,
    )


def users(password: str) -> str:
    """Who may do what. The gateway ends its server itself: no signal to a number that may be
    another process by now, and the answer says what keeps the server from saving."""
    return rights.DEFAULT + rights.gateway(rights.digest_of(password), "shutdown")


def asks_a_name(text: str) -> bool:
    """Does a server with this configuration ask for a user? Earlier ones did not."""
    return f"\naclfile {USERS}\n" in text


def password(folder: Path) -> str | None:
    """The password of the user ``tripgate``; ``None`` while there is none."""
    try:
        found = (folder / PASSWORD).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    return found if _SECRET.fullmatch(found) else None


def kept_password(folder: Path, socket: Path) -> str:
    """The password that is there, else a new one. Call it with the lock of the folder only."""
    found = password(folder)
    if found is None:
        found = secrets.token_urlsafe(32)
        replace_file(folder / PASSWORD, found + "\n", 0o640 if _is_shared(socket) else 0o600)
    return found


def _is_shared(socket: Path) -> bool:
    return bool(socket.parent.stat().st_mode & stat.S_IWGRP)
