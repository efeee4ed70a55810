"""Where counted bytes are kept, and that what is read is what was counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import usage
from tripgate.core.classify import CATEGORIES, Service
from tripgate.core.period import starts
from tripgate.core.usage import DAY_S, HOUR_S, Increment, increments, plan_reading, rows

NOW = 1_767_225_600 + 40 * DAY_S + 5 * HOUR_S + 754
STARTS = starts(None, NOW)
VIDEO = Service("YouTube", "video")
MAIL = Service("Mail", "essential")


def counted(*parts: Iterable[Increment]) -> dict[str, Counter[str]]:
    """The buckets after these increments."""
    buckets: dict[str, Counter[str]] = defaultdict(Counter)
    for part in parts:
        for one in part:
            buckets[one.bucket][one.field] += one.amount
    return buckets


def add(device: str, service: Service, up: int, down: int, at: int = NOW, host: str = "a.example"):  # type: ignore[no-untyped-def]
    return increments(device, service, host, up, down, at, starts(None, at), overhead=up + down)


def read(buckets, since, by, devices=("d1", "d2"), days=(), hosts=False, people=None):  # type: ignore[no-untyped-def]
    reading = plan_reading(devices, since, NOW, days, 0, hosts=hosts)
    return rows(reading, [buckets.get(name, {}) for name in reading.names], by, people or {})


def test_bytes_go_to_every_level_with_its_own_life() -> None:
    found = {one.bucket.split(":")[2]: one.ttl for one in add("d1", VIDEO, 1, 1)}
    assert found == {
        "life": None,
        "trip": usage.KEEP_DAYS_S,
        "day": usage.KEEP_DAYS_S,
        "hour": usage.KEEP_HOURS_S,
        "minute": usage.KEEP_MINUTES_S,
        "hosts": usage.KEEP_HOSTS_S,
    }


def test_every_level_but_minutes_is_bounded_in_its_fields() -> None:
    most = {
        one.bucket.split(":")[2]: one.most
        for one in add("d1", VIDEO, 1, 0)
        if one.field != "overhead"
    }
    assert most.pop("minute") is None  # ten minutes of the few categories
    assert most.pop("hosts") == 2 * usage.MOST_HOSTS
    assert set(most.values()) == {usage.MOST_SERVICES}


def test_a_long_host_keeps_its_end() -> None:
    (field,) = (
        one.field
        for one in add("d1", VIDEO, 1, 0, host="x" * 200 + ".example.com")
        if ":hosts:" in one.bucket
    )
    assert field.endswith(".example.com|u")
    assert len(field) == usage.HOST_FIELD + 2


def test_nothing_moved_is_no_increment() -> None:
    assert increments("d1", VIDEO, None, 0, 0, NOW, STARTS) == ()


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("device",), [(("d1",), 3, 30), (("d2",), 4, 5)]),
        (("category",), [(("video",), 2, 20), (("essential",), 5, 15)]),
        (("service", "device"),
         [(("YouTube", "d1"), 2, 20), (("Mail", "d1"), 1, 10), (("Mail", "d2"), 4, 5)]),
        (("person",), [(("ana",), 3, 30), (("",), 4, 5)]),
    ],
)  # fmt: skip
def test_rows_sum_by_what_was_asked_the_largest_first(by, expected) -> None:  # type: ignore[no-untyped-def]
    buckets = counted(add("d1", VIDEO, 2, 20), add("d1", MAIL, 1, 10), add("d2", MAIL, 4, 5))
    found = [row for row in read(buckets, None, by, people={"d1": "ana"}) if row.total]
    assert [(tuple(row.keys.values()), row.up, row.down) for row in found] == expected


def test_every_category_has_a_letter_of_its_own() -> None:
    assert usage.LETTERS.keys() == CATEGORIES | {"unknown"}
    letters = {*usage.LETTERS.values(), usage.OTHER[0]}
    assert len(letters) == len(usage.LETTERS) + 1
    assert all(len(letter) == 1 for letter in letters)


@pytest.mark.parametrize("category", sorted(usage.LETTERS))
def test_a_service_and_its_category_are_read_as_they_were_counted(category: str) -> None:
    for name in ("unknown", "ther", "Google Play"):
        (row,) = read(
            counted(increments("d1", Service(name, category), None, 1, 0, NOW, STARTS)),
            None,
            ("service", "category"),
        )
        assert row.keys == {"service": name, "category": category}


def test_what_a_full_bucket_holds_together_is_unknown() -> None:
    (row,) = read({"use:d1:life": {"other|u": 3, "other|d": 4}}, None, ("service", "category"))
    assert (row.keys, row.total) == ({"service": "unknown", "category": "unknown"}, 7)


def test_hosts_are_read_by_day() -> None:
    buckets = counted(
        add("d1", VIDEO, 2, 20, host="v.example"), add("d1", MAIL, 1, 1, host="m.example")
    )
    found = read(buckets, None, ("host",), days=[STARTS["day"]], hosts=True)
    assert [(row.keys["host"], row.total) for row in found if row.total] == [
        ("v.example", 22),
        ("m.example", 2),
    ]


def test_header_bytes_are_reported_beside_and_not_in_the_total() -> None:
    found = read(counted(add("d1", VIDEO, 2, 20)), None, ("device",))
    assert [(row.total, row.overhead) for row in found] == [(22, 22)]


def test_since_is_rounded_down_to_the_hour() -> None:
    reading = plan_reading(["d1"], NOW - 2 * HOUR_S, NOW, [], 0)
    assert reading.since == (NOW - 2 * HOUR_S) // HOUR_S * HOUR_S
    assert len(reading.names) == 3


def test_days_answer_what_is_too_long_for_hours() -> None:
    days = [STARTS["day"] - number * DAY_S for number in range(100, -1, -1)]
    reading = plan_reading(["d1"], days[0] + 5, NOW, days, 0)
    assert reading.since == days[0]
    assert len(reading.names) == 101


def test_the_trip_has_a_bucket_of_its_own() -> None:
    assert plan_reading(["d1"], 77, NOW, [], 77).names == ("use:d1:trip:77",)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["d1", "d2"]),
            st.sampled_from([VIDEO, MAIL]),
            st.integers(0, 10**9),
            st.integers(0, 10**9),
            st.integers(NOW - 3 * HOUR_S, NOW),
        ),
        max_size=20,
    ),
    st.sampled_from([("device",), ("service",), ("category", "person"), ("device", "service")]),
)
def test_what_is_read_is_what_was_counted(moves, by) -> None:  # type: ignore[no-untyped-def]
    buckets = counted(
        *(add(device, service, up, down, at) for device, service, up, down, at in moves)
    )
    total = sum(up + down for _, _, up, down, _ in moves)
    assert sum(row.total for row in read(buckets, None, by)) == total
    assert sum(row.total for row in read(buckets, NOW - 4 * HOUR_S, by)) == total
