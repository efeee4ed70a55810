"""Which policy decides: the documented order as a table, and caps above all."""

from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from tripgate.core.classify import Service
from tripgate.core.model import PLAN, Cap, Period, Target, device_target, person_target
from tripgate.core.policy import ALL, Moment, Policies, Policy, Verb, in_window

PHONE, MARIA = device_target("dev-aaaa"), person_target("maria")
SCOPES = (PHONE, MARIA, PLAN)
ICLOUD = Service("iCloud", "cloud-sync")
CHAT = Service("WhatsApp", "essential")
CHECK = Service("Connectivity", "connectivity-check")
NOW = Moment(1_800_000_000)


def policy(
    target: Target, what: str, verb: Verb = Verb.PAUSE, *, at: int = 0, rate: int | None = None
) -> Policy:
    return Policy(f"{target}/{what}/{verb}/{at}", verb, what, target, rate=rate, created_at=at)


ORDER = [
    policy(target, what) for target in SCOPES for what in (ICLOUD.name, ICLOUD.category, ALL)
]  # the most specific target, then the most specific thing


@pytest.mark.parametrize("first", range(len(ORDER) - 1), ids=lambda i: ORDER[i].id)
def test_the_more_specific_policy_decides_though_the_other_is_newer(first: int) -> None:
    winner = ORDER[first]
    for other in ORDER[first + 1 :]:
        newer = policy(other.target, other.what, Verb.ALLOW, at=99)
        for listed in permutations((winner, newer)):
            verdict = Policies(listed).decide(SCOPES, ICLOUD, NOW)
            assert (verdict.verb, verdict.policy) == ("pause", winner.id)


UNDER_A_THROTTLE = [
    # the throttle,                            what is less specific in its target,  decides
    ((PHONE, ALL), [(PLAN, ICLOUD.category, Verb.PAUSE)], "pause"),
    ((PHONE, ALL), [(PLAN, ICLOUD.name, Verb.PAUSE)], "pause"),
    ((PHONE, ALL), [(MARIA, ICLOUD.category, Verb.PAUSE)], "pause"),
    ((PHONE, ICLOUD.category), [(PLAN, ICLOUD.name, Verb.PAUSE)], "pause"),
    ((PHONE, ALL), [(PLAN, ALL, Verb.PAUSE)], "throttle"),
    ((PHONE, ICLOUD.category), [(PLAN, ICLOUD.category, Verb.PAUSE)], "throttle"),
    ((PHONE, ICLOUD.name), [(PLAN, ICLOUD.category, Verb.PAUSE)], "throttle"),
    ((PHONE, ALL), [(PLAN, "video", Verb.PAUSE)], "throttle"),
    ((PHONE, ALL), [(PLAN, ICLOUD.category, Verb.ALLOW)], "throttle"),
    ((PHONE, ALL), [(MARIA, ICLOUD.category, Verb.ALLOW),
                    (PLAN, ICLOUD.category, Verb.PAUSE)], "throttle"),
    ((PLAN, ALL), [(PLAN, ICLOUD.category, Verb.PAUSE)], "pause"),
]  # fmt: skip


@pytest.mark.parametrize(("throttle", "others", "verb"), UNDER_A_THROTTLE)
def test_a_throttle_lifts_no_pause_of_a_more_specific_thing(
    throttle: tuple[Target, str], others: list[tuple[Target, str, Verb]], verb: str
) -> None:
    listed = [policy(*throttle, Verb.THROTTLE, at=9, rate=500), *(policy(*one) for one in others)]
    assert Policies(listed).decide(SCOPES, ICLOUD, NOW).verb == verb


def test_an_allow_is_an_exception_to_a_pause() -> None:
    listed = [policy(PHONE, ALL, Verb.ALLOW), policy(PLAN, ICLOUD.category)]
    assert Policies(listed).decide(SCOPES, ICLOUD, NOW).verb == "allow"


def test_of_two_as_specific_policies_the_newer_decides() -> None:
    old, new = policy(MARIA, ALL, at=1), policy(MARIA, ALL, Verb.ALLOW, at=2)
    assert Policies([new, old]).decide(SCOPES, ICLOUD, NOW).policy == new.id


def test_without_a_policy_a_flow_is_allowed() -> None:
    assert Policies([]).decide(SCOPES, ICLOUD, NOW).verb == "allow"


@pytest.mark.parametrize(
    "other", [policy(device_target("dev-bbbb"), ALL), policy(person_target("ben"), ALL)], ids=str
)
def test_a_policy_for_others_does_not_apply(other: Policy) -> None:
    assert Policies([other]).decide(SCOPES, ICLOUD, NOW).verb == "allow"


def test_connectivity_checks_are_never_paused() -> None:
    paused = Policies([policy(t, w) for t in SCOPES for w in (ALL, CHECK.category, CHECK.name)])
    assert paused.decide(SCOPES, CHECK, NOW).verb == "allow"


def test_the_portal_is_never_paused() -> None:
    paused = Policies([policy(PLAN, ALL)], portal=["portal.lan"])
    verdict = paused.decide(SCOPES, Service("unknown", "unknown"), NOW, host="portal.lan")
    assert verdict.verb == "allow"


@pytest.mark.parametrize(
    ("moment", "applies"),
    [(Moment(99), True), (Moment(100), False), (Moment(100, trusted=False), True)],
    ids=["before", "at its end", "clock not trusted"],
)
def test_a_policy_ends_at_its_end(moment: Moment, applies: bool) -> None:
    made = Policies([Policy("p", Verb.PAUSE, ALL, until=100)])
    assert (made.decide(SCOPES, ICLOUD, moment).verb == "pause") == applies


def test_a_policy_until_unmetered_rests_while_the_uplink_is_unmetered() -> None:
    made = Policies([Policy("p", Verb.PAUSE, ALL, until_unmetered=True)])
    verbs = [
        made.decide(SCOPES, ICLOUD, Moment(0, unmetered=free)).verb for free in (False, True, False)
    ]
    assert verbs == ["pause", "allow", "pause"]


@pytest.mark.parametrize(
    ("policy", "rests"),
    [
        (Policy("p", Verb.PAUSE, ALL), True),
        (Policy("p", Verb.THROTTLE, ALL, rate=500_000), True),
        (Policy("p", Verb.PAUSE, ALL, until=9), True),
        (Policy("p", Verb.PAUSE, ALL, daily=(0, 0)), False),
        (Policy("p", Verb.PAUSE, ALL, daily=(0, 0), until_unmetered=True), True),
    ],
)
def test_what_saves_money_rests_while_the_uplink_costs_nothing(policy: Policy, rests: bool) -> None:
    made = Policies([policy])
    verbs = [
        made.decide(SCOPES, ICLOUD, Moment(0, unmetered=free)).verb for free in (False, True, False)
    ]
    assert verbs == [policy.verb, "allow" if rests else policy.verb, policy.verb]


def test_an_older_one_with_hours_decides_while_the_newer_one_rests() -> None:
    hours = Policy("hours", Verb.PAUSE, ALL, daily=(0, 0), created_at=1)
    made = Policies([hours, Policy("new", Verb.THROTTLE, ALL, rate=1, created_at=2)])
    assert made.decide(SCOPES, ICLOUD, Moment(0, unmetered=True)).policy == "hours"


def test_an_older_policy_decides_once_the_newer_one_is_over() -> None:
    old = Policy("old", Verb.PAUSE, ALL, created_at=1)
    new = Policy("new", Verb.ALLOW, ALL, until=100, created_at=2)
    made = Policies([old, new])
    assert [made.decide(SCOPES, ICLOUD, Moment(at)).policy for at in (99, 100)] == ["new", "old"]


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ((60, 180), {1, 2}),
        ((22 * 60, 2 * 60), {22, 23, 0, 1}),
        ((0, 0), set(range(24))),
    ],
    ids=["in one day", "over midnight", "the whole day"],
)
def test_a_daily_window_is_in_local_time(window: tuple[int, int], hours: set[int]) -> None:
    midnight = 1_767_247_200  # 2026-01-01T00:00 in Mexico City
    zone = ZoneInfo("America/Mexico_City")
    found = {hour for hour in range(24) if in_window(window, midnight + hour * 3600, zone)}
    assert found == hours


def cap(action: str, rate: int | None = None, target: Target = PHONE) -> Cap:
    return Cap(target, Period.DAY, 1000, action, rate=rate)


CAPS = [
    # reached caps, policy, service, verb, rate
    ([cap("block")], Verb.ALLOW, ICLOUD, "refuse", None),
    ([cap("block")], Verb.ALLOW, CHECK, "refuse", None),
    ([cap("essentials")], Verb.ALLOW, ICLOUD, "refuse", None),
    ([cap("essentials")], Verb.ALLOW, CHAT, "throttle", 64_000),
    ([cap("essentials")], None, CHECK, "throttle", 64_000),
    *(
        ([cap("essentials")], None, Service(name, category), "throttle", 64_000)
        for name, category in (("LINE", "chat"), ("HERE", "maps"), ("GMX", "email"))
    ),
    ([cap("essentials")], Verb.PAUSE, CHAT, "pause", None),
    ([cap("throttle", 500)], Verb.ALLOW, ICLOUD, "throttle", 500),
    ([cap("throttle", 500)], Verb.PAUSE, ICLOUD, "pause", None),
    ([cap("throttle", 500)], Verb.THROTTLE, ICLOUD, "throttle", 400),
    ([cap("throttle", 300)], Verb.THROTTLE, ICLOUD, "throttle", 300),
    ([cap("throttle", 500), cap("throttle", 200, PLAN)], None, ICLOUD, "throttle", 200),
    ([cap("throttle", 500), cap("essentials", None, PLAN)], None, ICLOUD, "refuse", None),
    ([cap("throttle", 500), cap("block", None, PLAN)], None, CHAT, "refuse", None),
]


@pytest.mark.parametrize(("reached", "verb", "service", "expected", "rate"), CAPS)
def test_caps_win_over_policies_and_the_tightest_cap_over_all(
    reached: list[Cap], verb: Verb | None, service: Service, expected: str, rate: int | None
) -> None:
    made = Policies([policy(PHONE, ALL, verb, rate=400)] if verb else [])
    verdict = made.decide(SCOPES, service, NOW, reached=reached)
    assert (verdict.verb, verdict.rate) == (expected, rate)


def test_the_tightest_cap_is_named() -> None:
    loose, tight = cap("throttle", 500), cap("throttle", 200, PLAN)
    verdict = Policies([]).decide(SCOPES, ICLOUD, NOW, reached=[loose, tight])
    assert verdict.cap == tight
    assert "200bit: the day cap of plan" in verdict.reason


@pytest.mark.parametrize(
    ("verb", "rate", "reason"),
    [
        (Verb.PAUSE, None, "cloud-sync is paused for person:maria"),
        (Verb.THROTTLE, 500_000, "cloud-sync is slowed to 500kbit for person:maria"),
        (Verb.ALLOW, None, "cloud-sync is allowed for person:maria"),
    ],
)
def test_a_verdict_says_why(verb: Verb, rate: int | None, reason: str) -> None:
    made = Policies([policy(MARIA, ICLOUD.category, verb, rate=rate)])
    assert made.decide(SCOPES, ICLOUD, NOW).reason == reason
