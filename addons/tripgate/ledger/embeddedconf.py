"""The configuration of the embedded server.

Rules
1. It listens on a Unix socket and nowhere else; whoever may use the state folder may use it.
2. What was answered is in the append-only file before the answer (kill -9 loses nothing) and on
   the disk within a second or two (a power cut may take that; the journal knows it).
3. Memory is bounded and nothing is evicted: when it is full, grants stop and settlements pass.
"""

import stat
from pathlib import Path

CONF = "valkey.conf"
PID = "valkey.pid"
LOG = "valkey.log"

_CONF = """\
# Written by tripgate at every start of the server.
# {program}
# {socket}
dir ./
port 0
unixsocketperm {mode:o}
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


def text(program: Path, socket: Path) -> str:
    """What the server is told; another program or socket makes another text."""
    shared = socket.parent.stat().st_mode & stat.S_IWGRP
    return _CONF.format(
        program=ascii(str(program)),
        socket=ascii(str(socket)),
        mode=0o660 if shared else 0o600,
        pid=PID,
    )
