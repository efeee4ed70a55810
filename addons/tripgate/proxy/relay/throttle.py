"""A rate for all flows that one cap or policy slows, shared fairly.

Rules
1. Payload of both directions counts. Who finds tokens and nobody waiting goes on at once.
2. The others wait in a ring: each has an equal share, then stands at its end. A share that a way
   does not use is the others'.
3. One timer wakes the ring when there is a share again; nobody else looks.
"""

import asyncio

from tripgate.core.bucket import CRUMB, Bucket
from tripgate.proxy.relay.engine import Engine, Turn

AHEAD = 16 * 1024
"""The receive buffer of a throttled flow: the kernel doubles it, and never offers a window beyond
that, so the uplink is at most 32 KiB ahead of what was delivered."""


class Throttle:
    """``users``: the flows that have it."""

    __slots__ = ("_engine", "_ring", "_share", "_timer", "_turn", "bucket", "users")

    def __init__(self, engine: Engine, bucket: Bucket) -> None:
        self._engine = engine
        self.bucket = bucket
        self._ring: dict[object, Turn] = {}
        self._turn: Turn | None = None
        self._share = 0
        self._timer: asyncio.TimerHandle | None = None
        self.users = 0

    def __contains__(self, turn: Turn) -> bool:
        return turn in self._ring

    def room(self, turn: Turn, want: int) -> int:
        """How much of ``want`` may move now; 0: it stands in the ring."""
        if turn is self._turn and self._share:
            return min(want, self._share)
        if self._turn is None and not self._ring:
            self.bucket.fill(self._engine.now)
            if share := self.bucket.share(1):
                return min(want, share)
        self._ring[turn] = turn
        if self._timer is None:
            self._timer = self._engine.loop.call_later(self.bucket.wait, self._go_round)
        return 0

    def took(self, payload: int) -> None:
        """So much of the room was used."""
        self._share -= min(self._share, payload)
        self.bucket.take(payload)

    def leave(self, turn: object) -> None:
        """It is over."""
        self._ring.pop(turn, None)

    def _go_round(self) -> None:
        self._timer = None
        engine = self._engine
        engine.now = engine.clock()
        self.bucket.fill(engine.now)
        share = self.bucket.share(max(1, len(self._ring)))
        for turn in list(self._ring.values()):
            if not share or self.bucket.tokens < min(share, CRUMB):
                break
            if self._ring.pop(turn, None) is None:
                continue
            self._turn, self._share = turn, share
            engine.give_turn(turn)
        self._turn, self._share = None, 0
        if self._ring and self._timer is None:
            self._timer = engine.loop.call_later(self.bucket.wait, self._go_round)

    def close(self) -> None:
        """The rate is no more: all go on."""
        if self._timer is not None:
            self._timer.cancel()
        for turn in self._ring.values():
            self._engine.again(turn)
        self._ring.clear()


class Throttles:
    """The throttles in use, by the bucket of what slows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[Bucket, Throttle] = {}

    def of(self, bucket: Bucket) -> Throttle:
        """The throttle of a bucket; every caller is a user until it says ``leave``."""
        throttle = self._known.get(bucket)
        if throttle is None:
            throttle = self._known[bucket] = Throttle(self._engine, bucket)
        throttle.users += 1
        return throttle

    def leave(self, throttle: Throttle) -> None:
        """One user less; without any it is gone."""
        throttle.users -= 1
        if not throttle.users:
            throttle.close()
            self._known = {key: one for key, one in self._known.items() if one is not throttle}
