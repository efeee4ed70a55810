"""Amounts as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import units
from tripgate.core.model import Period
from tripgate.core.units import (
    VOLUME_MAX,
    UnitError,
    format_volume,
    parse_cap,
    parse_duration,
    parse_period,
    parse_rate,
    parse_volume,
)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        *(("500MB", 500 * 10**6), ("500MiB", 500 * 2**20), ("1.5GB", 1_500_000_000)),
        *(("20480kB", 20_480_000), ("20480KB", 20_480_000), ("1000000B", 1_000_000)),
        *(("0.001kB", 1), ("1 GB", 10**9), (" 1GB ", 10**9), ("1000TB", VOLUME_MAX)),
    ],
)
def test_a_volume_is_whole_bytes(text: str, volume: int) -> None:
    assert parse_volume(text) == volume


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "MB", "-5MB", "+5MB", "5mb", "5 M B", "1e3MB", "1,5GB", "0MB", "0.0005kB"),
        *("0.1B", "1001TB", "1.2345GB", "\u0665MB", "5MB\n5", "5MB/day", "9" * 400 + "B", "∞GB"),
    ],
)
def test_anything_else_is_refused_with_forms_that_work(text: str) -> None:
    with pytest.raises(UnitError, match=r"write 500MB, 1.5GB, 500MiB, 20480kB or 1000000B"):
        parse_volume(text)


@pytest.mark.parametrize(("text", "rate"), [("512kbit", 512_000), ("5Mbit", 5_000_000)])
def test_a_rate_is_bits_per_second(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["512", "512kB", "0kbit", "512kbit/s", "1000Gbit"])
def test_a_rate_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="write 512kbit or 5Mbit"):
        parse_rate(text)


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("2h", 7200), ("30d", 2_592_000)])
def test_a_duration_is_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["0s", "30", "30M", "2 hours", "9999999w", "-1d"])
def test_a_duration_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="write 30m, 2h or 30d"):
        parse_duration(text)


@pytest.mark.parametrize("period", Period)
def test_a_cap_is_a_volume_and_a_period(period: Period) -> None:
    assert parse_cap(f"500MB/{period}") == (500_000_000, period)


@pytest.mark.parametrize("text", ["500MB", "/day", "500MB/", "500MB/Day", "500MB/day/day", "a/b"])
def test_a_cap_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="write "):
        parse_cap(text)


def test_a_period_of_another_name_is_refused_with_the_names() -> None:
    with pytest.raises(UnitError, match="write day, week, month, trip, once"):
        parse_period("fortnight")


@pytest.mark.parametrize(
    ("volume", "unit", "text"),
    [
        *((0, "GB", "0 B"), (999, "GB", "999 B"), (1000, "GB", "1 kB"), (1500, "GB", "1.5 kB")),
        *((999_999, "GB", "1 MB"), (1_234_567_890, "GB", "1.23 GB"), (12_345_678, "GB", "12.3 MB")),
        *((500 * 10**6, "GB", "500 MB"), (1024, "GiB", "1 KiB"), (3 * 2**30, "GiB", "3 GiB")),
        *((10**15, "GB", "1000 TB"), (-1500, "GB", "-1.5 kB")),
    ],
)
def test_a_volume_is_shown_with_three_digits(volume: int, unit: str, text: str) -> None:
    assert format_volume(volume, unit) == text


@given(st.integers(0, VOLUME_MAX))
def test_what_is_shown_is_within_half_a_percent(volume: int) -> None:
    number, unit = format_volume(volume).split(" ")
    shown = float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert abs(shown - volume) <= 0.006 * volume


@given(st.text(max_size=40))
def test_no_text_makes_a_parser_fail_otherwise(text: str) -> None:
    for parse in (parse_volume, parse_rate, parse_duration, parse_cap, parse_period):
        try:
            parse(text)
        except UnitError as error:
            assert len(str(error)) < 600


@pytest.mark.parametrize("text", ["30d", "25h", "90m", "61s", "1d"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    assert units.format_duration(units.parse_duration(text)) == text
