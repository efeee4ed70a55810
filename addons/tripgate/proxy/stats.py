"""What the proxy counts of itself for metrics and status; every key set is small and fixed."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Totals since the start. Keys of ``verdicts``, ``cuts`` and ``calls`` come from code only."""

    verdicts: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    overrun: int = 0
    ledger_up: bool = False
    traffic: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Bytes by (device id, category, ``up``/``down``)."""
    own: Counter[str] = field(default_factory=Counter)
    """The gateway's own, by direction, where no kernel counts them."""
