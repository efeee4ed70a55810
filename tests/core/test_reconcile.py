"""The carrier's figure beside ours: what is agreement, what has a cause, what does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_statement import statement
from tripgate.core.reconcile import (
    AGREE,
    GIGA,
    Cause,
    Finding,
    Verdict,
    report,
    words,
)

MB, GB = 10**6, 10**9


def judged(text: str, counted: int, **changed: Any) -> Finding:
    (found,) = report([statement(text, counted, **changed)])
    return found


@pytest.mark.parametrize(
    ("text", "counted", "verdict"),
    [
        ("1.200GB", 1_200 * MB, Verdict.AGREES),
        ("1.200GB", 1_190 * MB, Verdict.AGREES),
        ("1.2GB", 1_160 * MB, Verdict.AGREES),
        ("1.200GB", 1_160 * MB, Verdict.MORE),
        ("1.200GB", 1_250 * MB, Verdict.LESS),
        ("1GB", 700 * MB, Verdict.UNKNOWN),
        ("1GB", 300 * MB, Verdict.MORE),
        ("9.0MB", 5 * MB, Verdict.UNKNOWN),
        ("0MB", 50 * MB, Verdict.LESS),
        ("50MB", 0, Verdict.MORE),
    ],
)
def test_a_verdict(text: str, counted: int, verdict: Verdict) -> None:
    found = judged(text, counted)
    assert found.verdict is verdict
    assert words(found, "GB").startswith(verdict)


def test_the_words_say_how_far_they_agree() -> None:
    assert words(judged("1.200GB", 1_194 * MB), "GB") == "agrees within 0.6 %"


def test_the_words_of_a_coarse_reading_say_what_would_help() -> None:
    assert words(judged("1GB", 900 * MB), "GB") == (
        "cannot say yet: the figures are sure to 500 MB only; more digits would say more"
    )


def test_headers_that_were_not_charged_explain_that_a_carrier_counts_more() -> None:
    assert judged("1.050GB", GB).verdict is Verdict.MORE
    found = judged("1.050GB", GB, headers=50 * MB)
    assert found.verdict is Verdict.AGREES
    assert (Cause.HEADERS, 0, 50 * MB) in [(one.cause, one.low, one.high) for one in found.parts]


def test_headers_do_not_explain_that_a_carrier_counts_less() -> None:
    assert judged("0.950GB", GB, headers=50 * MB).verdict is Verdict.LESS


def test_a_count_of_an_earlier_time_is_as_sure_as_its_hour() -> None:
    assert judged("1.040GB", GB, apart=30 * MB).verdict is Verdict.AGREES
    assert judged("1.060GB", GB, apart=30 * MB).verdict is Verdict.MORE


@pytest.mark.parametrize(
    ("text", "counted", "factor"),
    [
        ("10.00GB", round(10 * GB * GIGA), 1 / GIGA),
        ("10.74GB", 10 * GB, GIGA),
        ("950MB", round(950 * MB * 1.048576), 1 / 1.048576),
        ("1.35GB", GB, None),
        ("10.00GB", 10 * GB, None),
    ],
)
def test_a_unit_that_is_misread_is_named_where_it_fits(
    text: str, counted: int, factor: float | None
) -> None:
    found = judged(text, counted)
    assert found.factor == (pytest.approx(factor) if factor else None)
    assert ("differ by" in words(found, "GB")) is (factor is not None)
    assert (found.verdict is Verdict.AGREES) is (text == "10.00GB" and counted == 10 * GB)


def test_it_names_the_ratio_and_what_to_do() -> None:
    found = judged("10.00GB", round(10 * GB * GIGA))
    assert "7.4 %" in words(found, "GB")
    assert "`plan set --unit GiB`" in words(found, "GB")
    assert "as the plan's unit says" in words(found, "GiB")


def test_a_unit_is_not_named_by_figures_too_coarse_to_tell() -> None:
    """1.0 GB is anything from 0.95 on: 7.4 % less cannot be told from agreement."""
    found = judged("1.0GB", round(GB * GIGA))
    assert found.factor is None


def test_what_was_lacking_and_came_was_booked_late() -> None:
    first = statement("1.00GB", 1_200 * MB, at=1_000)
    second = statement("2.40GB", 2_400 * MB, at=2_000)
    lacking, caught_up = report([second, first])
    assert (lacking.verdict, caught_up.verdict) == (Verdict.LESS, Verdict.AGREES)
    assert lacking.interval is None
    interval = caught_up.interval
    assert interval
    assert (interval.said, interval.counted, interval.late) == (1_400 * MB, 1_200 * MB, 195 * MB)
    assert "195 MB were booked late" in words(caught_up, "GB")


def test_what_came_twice_was_not_booked_late() -> None:
    rows = [statement("1.00GB", GB, at=1_000), statement("2.20GB", 2 * GB, at=2_000)]
    _, found = report(rows)
    assert found.verdict is Verdict.MORE
    assert found.interval
    assert found.interval.late == 0


def test_a_figure_that_falls_is_told() -> None:
    rows = [statement("2.00GB", 2 * GB, at=1_000), statement("1.90GB", 2 * GB, at=2_000)]
    assert "The carrier took 100 MB back" in words(report(rows)[1], "GB")


SIZES = st.integers(0, 10**12)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    places = draw(st.integers(0, 3))
    text = f"{draw(st.integers(0, 10**6))}{'.' + '0' * places if places else ''}MB"
    changed = {"apart": draw(SIZES), "headers": draw(SIZES)} if draw(st.booleans()) else {}
    return judged(text, draw(SIZES), **changed)


@given(findings())
def test_explained_and_unexplained_are_the_difference(found: Finding) -> None:
    explained = found.difference - found.unexplained
    low, high = sum(one.low for one in found.parts), sum(one.high for one in found.parts)
    assert low <= explained <= high or found.unexplained == 0
    assert found.unexplained == 0 or (found.unexplained > 0) == (found.difference > high)


@given(findings())
def test_no_verdict_of_guilt_without_something_unexplained(found: Finding) -> None:
    larger = max(found.statement.said, found.statement.counted)
    if found.verdict in (Verdict.MORE, Verdict.LESS):
        assert abs(found.unexplained) > AGREE * larger
        assert (found.difference > 0) is (found.verdict is Verdict.MORE)
    if found.verdict is Verdict.AGREES:
        assert abs(found.unexplained) <= AGREE * larger


@given(st.lists(st.tuples(st.integers(0, 5_000), SIZES), min_size=2, max_size=6, unique=True))
def test_the_intervals_add_up_to_the_last_reading(pairs: list[tuple[int, int]]) -> None:
    rows = [statement(f"{said}MB", counted, at=at) for at, (said, counted) in enumerate(pairs)]
    first, *rest = report(rows)
    steps = [one.interval for one in rest if one.interval]
    assert len(steps) == len(rest)
    last = report(rows)[-1].difference
    assert first.difference + sum(one.difference for one in steps) == last
    assert all(0 <= one.late <= max(0, one.difference) for one in steps)
