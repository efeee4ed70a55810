"""What a policy has held back: attempts and hosts as counted, bytes as estimated.

Rules
1. Counts are kept in the ledger, in a bucket of the policy's own (its id and when it was made: ids
   are used again). They go there with the next bytes that are settled, and expire with the hours.
2. At most ``MOST_HOSTS`` hosts are told apart; attempts on further ones count as ``other``.
3. Nobody knows what did not happen. The estimate is what the same service or category took of the
   same devices in the ``BEFORE_S`` before the policy, over the time that it was in force, less what
   passed all the same. With less than a day of past there is none.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tripgate.core.policy import ALL, Policy, Verb
from tripgate.core.usage import DAY_S, HOST_FIELD, HOUR_S, KEEP_HOURS_S, Increment

MOST_HOSTS = 50
BEFORE_S = 7 * DAY_S
ATTEMPTS = "attempts"
OTHER = "other"


@dataclass(slots=True)
class Held:
    """Attempts in all, and by host."""

    attempts: int = 0
    hosts: Counter[str] = field(default_factory=Counter)

    def count(self, host: str | None) -> None:
        """One more."""
        self.attempts += 1
        if host:
            known = host[-HOST_FIELD:]
            full = known not in self.hosts and len(self.hosts) >= MOST_HOSTS
            self.hosts[OTHER if full else known] += 1


def bucket(policy: Policy) -> str:
    """Rule 1."""
    return f"use:held:{policy.id}:{policy.created_at}"


def increments(policy: Policy, held: Held) -> tuple[Increment, ...]:
    """What to add to the policy's bucket."""
    name = bucket(policy)
    hosts = (
        Increment(name, f"{host}|u", times, KEEP_HOURS_S, MOST_HOSTS)
        for host, times in held.hosts.items()
    )
    return (Increment(name, ATTEMPTS, held.attempts, KEEP_HOURS_S, MOST_HOSTS), *hosts)


def read(fields: Mapping[str, int]) -> Held:
    """What a bucket says."""
    hosts = {name.removesuffix("|u"): times for name, times in fields.items() if name != ATTEMPTS}
    return Held(fields.get(ATTEMPTS, 0), Counter(hosts))


def concerns(policy: Policy, service: str, category: str) -> bool:
    """The policy is on this thing."""
    return policy.what in (ALL, service, category)


def since(policy: Policy, now: int) -> int:
    """When the time begins that an estimate looks at: no hour is kept for longer."""
    return max(policy.created_at, now - KEEP_HOURS_S) // HOUR_S * HOUR_S


def saved(policy: Policy, past: Mapping[int, int], first: int, now: int) -> int | None:
    """Rule 3, in bytes. ``past``: of the thing by the beginning of the hour; ``first``: since when
    anything is known of the devices."""
    begun = since(policy, now)
    known = begun - max(first, begun - BEFORE_S)
    if policy.verb is Verb.ALLOW or known < DAY_S:
        return None
    before = _sum(past, begun - known, begun)
    end = min(now, policy.until) if policy.until is not None else now
    expected, share = before * max(0, end - begun) / known, _share(policy)
    passed = max(0.0, _sum(past, begun, end) - expected * (1 - share))
    return max(0, int(expected * share - passed))


def _share(policy: Policy) -> float:
    """The part of a day that the policy is in force."""
    if policy.daily is None:
        return 1.0
    begin, end = policy.daily
    return ((end - begin) % 1440 or 1440) / 1440


def _sum(past: Mapping[int, int], begin: int, end: int) -> int:
    return sum(past.get(at, 0) for at in range(begin // HOUR_S * HOUR_S, end, HOUR_S))
