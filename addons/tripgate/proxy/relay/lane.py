"""What all connections of the relay share: the engine, the queues of deadlines, the crowd.

Rules
1. A crowd has at most ``PER_DEVICE`` connections, all together ``IN_ALL``. A device is a crowd;
   those who are not let in are one together, so that they cannot keep the others out.
2. Whoever was counted in is counted out, once.
"""

from collections import Counter
from collections.abc import Callable

from tripgate.proxy.dial import CONNECT_S
from tripgate.proxy.gate import IN_ALL, PER_DEVICE
from tripgate.proxy.relay.engine import Engine
from tripgate.proxy.relay.throttle import Throttles
from tripgate.proxy.stats import Stats

HUSH_S = 0.3
HEAD_S = 5.0
LINGER_S = 5.0

IDLE_S = 7440.0
"""Silence of an established connection, RFC 5382 REQ-5: not less than 2 h 4 min."""

HALF_IDLE_S = 240.0
"""Silence of a half-closed one, RFC 5382 REQ-5: not less than 4 min."""


class Lane:
    """The state between the connections."""

    def __init__(self, engine: Engine, stats: Stats, crowd_of: Callable[[str], str] = str) -> None:
        """``crowd_of``: whose connection it is that comes from an address."""
        self.crowd_of = crowd_of
        self.engine = engine
        self.stats = stats
        self.hushed = engine.deadlines(HUSH_S)
        self.heads = engine.deadlines(HEAD_S - HUSH_S)
        self.connecting = engine.deadlines(CONNECT_S)
        self.lingering = engine.deadlines(LINGER_S)
        self.idle = engine.deadlines(HALF_IDLE_S)
        self.connections = 0
        self.throttles = Throttles(engine)
        self._crowd: Counter[str] = Counter()

    def count_in(self, crowd: str) -> bool:
        """One more of ``crowd``; False: that is too many (it is counted all the same)."""
        self.connections += 1
        self._crowd[crowd] += 1
        if self.connections > IN_ALL or self._crowd[crowd] > PER_DEVICE:
            self.engine.quiet.warning("too many connections: %d of %s", self._crowd[crowd], crowd)
            return False
        return True

    def left(self, crowd: str) -> None:
        """A connection is over."""
        self.connections -= 1
        self._crowd[crowd] -= 1
        if not self._crowd[crowd]:
            del self._crowd[crowd]

    def patience(self, *, half: bool) -> float:
        """How long a connection may be silent."""
        return HALF_IDLE_S if half else IDLE_S
