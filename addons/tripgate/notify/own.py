"""The gateway's own bytes where no kernel counts them (explicit mode): charged to the plan.

They are counted as ``(gateway)``, under the name of their cause in place of a host.
"""

from tripgate.core.bucket import Bucket
from tripgate.core.meter import Meter, WireState
from tripgate.core.model import GATEWAY
from tripgate.notify.send import Traffic
from tripgate.proxy.desk import LeaseDesk

CAUSE = "(messages)"


class _Sent:
    """A flow that is over."""

    undecided = False

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def wire(self) -> WireState | None:
        return None

    def window(self, volume: int) -> None:
        """It has none."""

    def slow(self, bucket: Bucket | None) -> None:
        """It is over."""

    def cut(self) -> bool:
        return False


def charge(desk: LeaseDesk, moved: Traffic, cause: str = CAUSE) -> None:
    """Record bytes that the gateway has moved for itself."""
    account = desk.account(GATEWAY)
    account.end(_Sent(Meter(account, cause, "")), None)  # sees to it: a lease
    meter = Meter(account, cause, "")
    meter.up = moved.up
    account.budget.charge(moved.up)
    account.end(_Sent(meter), WireState(moved.up, moved.down))
    desk.stats.own["up"] += moved.up
    desk.stats.own["down"] += moved.down
