"""How much the kernel may forward of devices that are slowed, until the counters are read again.

Rules
1. Packets that belong to no flow have no name: the verdict on what is unknown is theirs.
2. What a bucket brings until the next reading may be forwarded meanwhile; devices that forwarded
   something lately have equal parts of it.
3. What passed is owed to the bucket, so that flows and packets keep to the rate together. What the
   kernel dropped is not: it was charged to the device, and the rate is of what gets through.
"""

from collections import Counter
from dataclasses import dataclass

from tripgate.core.bucket import Bucket
from tripgate.proxy.account import Account
from tripgate.proxy.judge import Judge

SPAN_MOST_S = 1.0
"""No more than this time's worth is given at once, whatever held up a reading."""


@dataclass(slots=True)
class _Lane:
    """A slowed device: its bucket, what it may forward, what it did since the last reading."""

    bucket: Bucket
    let: int = 0
    passed: int = 0
    lately: bool = False


class Pace:
    """The slowed devices of one gateway."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._lanes: dict[str, _Lane] = {}
        self._read_at: float | None = None
        self._span = 0.0

    def slows(self, device: str) -> bool:
        """Its packets are held to a rate."""
        return device in self._lanes

    def counted(self, device: str, forwarded: int) -> None:
        """A reading found so many bytes, of which the kernel dropped those past what it might."""
        if lane := self._lanes.get(device):
            lane.passed += min(forwarded, lane.let)

    def turn(self, now: float) -> None:
        """The reading is complete: what passed is owed."""
        elapsed = now - self._read_at if self._read_at is not None else 0.0
        self._read_at, self._span = now, min(elapsed, SPAN_MOST_S)
        owed: Counter[Bucket] = Counter()
        for lane in self._lanes.values():
            owed[lane.bucket] += lane.passed
            lane.lately, lane.passed = bool(lane.passed), 0
        for bucket, volume in owed.items():
            bucket.owe(volume, now)

    def most(self, account: Account) -> int | None:
        """What the kernel may forward of a device until the next reading; ``None``: no bound."""
        passes, bucket = self._judge.nameless(account)
        if not passes or bucket is None:
            self._lanes.pop(account.device, None)
            return None if passes else 0
        lane = self._lanes.get(account.device)
        if lane is None or lane.bucket is not bucket:
            lane = self._lanes[account.device] = _Lane(bucket)
        users = sum(one.bucket is bucket and one.lately for one in self._lanes.values())
        return bucket.ahead(self._span) // max(1, users)

    def let(self, device: str, volume: int) -> None:
        """The kernel may forward so much from the last reading on."""
        if lane := self._lanes.get(device):
            lane.let = volume
