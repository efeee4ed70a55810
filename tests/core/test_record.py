"""Journal records: what is written is read back, and nothing else is ever read."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import record as records
from tripgate.core.model import PLAN, Limit, Period, Target, device_target, person_target
from tripgate.core.record import LeaseRecord, Mark, RecordError, Stage

AMOUNTS = st.integers(0, records.MAX_BYTES)
NAMES = st.from_regex(r"[!-~]{1,64}", fullmatch=True)
TARGETS: st.SearchStrategy[Target] = st.one_of(
    st.just(PLAN), st.builds(device_target, NAMES), st.builds(person_target, NAMES)
)
LIMITS = st.builds(Limit, TARGETS, st.sampled_from(Period), AMOUNTS, st.none() | AMOUNTS)
LEASES = st.from_regex(r"[!-~]{1,128}", fullmatch=True)
GRANTS = st.builds(
    LeaseRecord,
    lease=LEASES,
    device=NAMES,
    limits=st.lists(LIMITS, max_size=12).map(tuple),
    granted=AMOUNTS,
    trusted=st.booleans(),
)
MARKS = st.builds(Mark, LEASES, AMOUNTS, st.sampled_from(Stage))

BIG = device_target("x" * 64)
LIMIT = Limit(device_target("dev-aaaa"), Period.DAY, 1_800_000_000, 5_000_000)
GRANT = LeaseRecord("gw:one:1", "dev-aaaa", (LIMIT,), 1_048_576, trusted=True)
OTHER = LeaseRecord("gw:one:2", "dev-bbbb", (), 262_144)
JOURNAL = records.header() + b"".join(
    map(
        records.encode,
        (GRANT, Mark("gw:one:1", 4096), OTHER, Mark("gw:one:1", 9000, Stage.CLOSED)),
    )
)


def line(payload: object) -> bytes:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return b"%08x %b" % (zlib.crc32(text), text)


@given(st.one_of(GRANTS, MARKS))
def test_a_record_is_read_back_as_it_was(record: records.Record) -> None:
    written = records.encode(record)
    assert written.count(b"\n") == 1
    assert records.decode(written[:-1]) == record


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\0" * 200,
        b"grant",
        records.encode(GRANT)[:-1].upper(),
        b" " + records.encode(GRANT)[:-1],
        line(b"{}"),
        line(b"\xff\xfe"),
        line(b"[" * 4000),
        line(b'["mark","gw:one:1",1e3,0]'),
        line(b'["mark","gw:one:1",NaN,0]'),
        line(["mark", "gw:one:1", -1, 0]),
        line(["mark", "gw:one:1", True, 0]),
        line(["mark", "gw:one:1", "5", 0]),
        line(["mark", "gw:one:1", 2**63, 0]),
        line(["mark", "gw:one:1", 5, 4]),
        line(["mark", "gw:one:1", 5]),
        line(["mark", "gw one", 5, 0]),
        line(["mark", "g" * 129, 5, 0]),
        line(["mark", 7, 5, 0]),
        line(["mark", "gw\n", 5, 0]),
        line(["grant", "gw:one:1", "", 5, True, []]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, 1, []]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, {}]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, [["router", "", "day", 0, None]]]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, [["plan", "", "year", 0, None]]]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, [["plan", "", "day", 0]]]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, [["plan", "", "day", -1, None]]]),
        line(["grant", "gw:one:1", "dev-aaaa", 5, True, [["plan", "", "day", 0, 0.5]]]),
        line(["grant", "gw:one:1", "d", 5, True, [["person", "a\tb", "day", 0, None]]]),
        line(["grant", "gw:one:1", "d", 5, True, [["plan", "", "day", 0, None]] * 33]),
        line(["mark", "gw:one:1", 5, 0, "x" * records.MAX_LINE]),
    ],
)
def test_what_is_not_a_record_is_refused(bad: bytes) -> None:
    with pytest.raises(RecordError):
        records.decode(bad)


@pytest.mark.parametrize(
    "record",
    [
        LeaseRecord("gw one", "dev-aaaa", (), 5),
        LeaseRecord("gw:one:1", "dev-aaaa", (), -5),
        LeaseRecord("gw:one:1", "x" * 65, (), 5),
        LeaseRecord("gw:one:1", "dev-aaaa", (LIMIT,) * 33, 5),
        LeaseRecord("g" * 128, "d" * 64, (Limit(BIG, Period.MONTH, 2**62, 2**62),) * 32, 5),
        Mark("", 5),
    ],
)
def test_what_could_not_be_read_back_is_not_written(record: records.Record) -> None:
    with pytest.raises(RecordError):
        records.encode(record)


def test_a_journal_says_the_latest_of_each_lease() -> None:
    entries = records.read(JOURNAL).entries
    assert entries["gw:one:1"].records == (GRANT, Mark("gw:one:1", 9000, Stage.CLOSED))
    assert entries["gw:one:2"].records == (OTHER,)


def test_amounts_and_stages_only_go_forward() -> None:
    late = records.encode(Mark("gw:one:1", 100)) + records.encode(GRANT)
    assert records.read(JOURNAL + late).entries == records.read(JOURNAL).entries


def test_a_lease_that_is_gone_is_not_read() -> None:
    gone = records.encode(Mark("gw:one:1", 9000, Stage.GONE))
    assert list(records.read(JOURNAL + gone).entries) == ["gw:one:2"]


@pytest.mark.parametrize("data", [b"", records.header()])
def test_an_empty_journal_is_no_damage(data: bytes) -> None:
    assert records.read(data) == records.Reading({})


def test_a_mark_without_its_grant_is_damage() -> None:
    assert records.read(JOURNAL + records.encode(Mark("gw:one:9", 5))).damaged == 1


@pytest.mark.parametrize("first", [b"", b"nonsense", line(["tripgate-journal", "1"]), line([])])
def test_a_journal_whose_header_is_damaged_is_read_all_the_same(first: bytes) -> None:
    reading = records.read(first + b"\n" + JOURNAL.partition(b"\n")[2])
    assert reading == records.Reading(records.read(JOURNAL).entries, damaged=1)


def test_a_journal_of_a_newer_format_is_not_read() -> None:
    with pytest.raises(records.NewerFormat, match="format 2"):
        records.read(line(["tripgate-journal", 2]) + b"\nwhatever")


def test_a_torn_tail_costs_the_torn_line_only() -> None:
    ends = [at for at, byte in enumerate(JOURNAL) if byte == ord("\n")]
    for cut in range(len(JOURNAL) + 1):
        reading = records.read(JOURNAL[:cut])
        whole = JOURNAL[: max((at + 1 for at in ends if at < cut), default=0)]
        assert reading == records.Reading(records.read(whole).entries, torn=len(whole) < cut)


def test_a_flipped_bit_is_seen_and_costs_its_lines_only() -> None:
    lines = JOURNAL.splitlines(keepends=True)
    for at in range(len(JOURNAL)):
        for bit in range(8):
            flipped = bytearray(JOURNAL)
            flipped[at] ^= 1 << bit
            reading = records.read(bytes(flipped))
            assert reading.damaged or reading.torn, (at, bit)
            left = [x for x in lines if x in bytes(flipped).splitlines(keepends=True)]
            expected = records.read(records.header() + b"".join(left)).entries
            assert reading.entries == expected, (at, bit)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_failure(data: bytes) -> None:
    assert records.read(data).entries == {}
