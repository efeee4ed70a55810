"""What a policy has held back: counted within bounds, estimated from the service's own past."""

from collections.abc import Mapping
from typing import Any

import pytest

from tripgate.core import heldback
from tripgate.core.heldback import MOST_HOSTS, Held, saved
from tripgate.core.policy import Policy, Verb

HOUR, DAY = 3600, 86_400
MADE = 1_700_000_000 // DAY * DAY
MB = 1_000_000


def policy(verb: Verb = Verb.PAUSE, **more: Any) -> Policy:
    return Policy("p1", verb, "cloud-sync", created_at=MADE, **more)


def past(before: int, since: int, days: int = 7, after: int = 2) -> Mapping[int, int]:
    """So much in each hour before the policy and since."""
    hours = range(MADE - days * DAY, MADE + after * DAY, HOUR)
    return {at: before if at < MADE else since for at in hours}


@pytest.mark.parametrize(
    ("made", "before", "since", "expected"),
    [
        (policy(), 10 * MB, 0, 480 * MB),
        (policy(), 10 * MB, 4 * MB, 288 * MB),
        (policy(), 0, 0, 0),
        (policy(), MB, 5 * MB, 0),
        (policy(Verb.THROTTLE, rate=64_000), 10 * MB, 4 * MB, 288 * MB),
        (policy(Verb.ALLOW), 10 * MB, 0, None),
        (policy(daily=(0, 720)), 10 * MB, 5 * MB, 240 * MB),
        (policy(daily=(1320, 420)), 10 * MB, 10 * MB, 0),
        (policy(until=MADE + DAY), 10 * MB, 0, 240 * MB),
    ],
)
def test_the_estimate_is_the_past_less_what_passed(
    made: Policy, before: int, since: int, expected: int | None
) -> None:
    found = saved(made, past(before, since), MADE - 7 * DAY, MADE + 2 * DAY)
    assert found == (expected if expected is None else pytest.approx(expected, abs=1))


@pytest.mark.parametrize(("hours", "known"), [(23, False), (24, True)])
def test_without_a_day_of_past_there_is_none(hours: int, known: bool) -> None:
    found = saved(policy(), past(MB, 0), MADE - hours * HOUR, MADE + DAY)
    assert (found is not None) == known


def test_hosts_are_told_apart_up_to_a_number() -> None:
    held = Held()
    for number in range(3 * MOST_HOSTS):
        held.count(f"h{number}.example")
    assert (held.attempts, len(held.hosts)) == (3 * MOST_HOSTS, MOST_HOSTS + 1)
    assert held.hosts["other"] == 2 * MOST_HOSTS


def test_what_is_written_is_read_again() -> None:
    held = Held()
    for host in ("a.example", "b.example", "a.example", None):
        held.count(host)
    fields = {one.field: one.amount for one in heldback.increments(policy(), held)}
    assert heldback.read(fields) == held


def test_a_policy_that_has_the_id_of_an_old_one_begins_anew() -> None:
    later = Policy("p1", Verb.PAUSE, "cloud-sync", created_at=MADE + 1)
    assert heldback.bucket(later) != heldback.bucket(policy())
