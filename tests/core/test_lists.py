"""Host lists: what is a rule is read, what is not is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import lists
from tripgate.core.lists import HostList, parse


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("  example.com  # why", "example.com"),
        ("0.0.0.0 ads.example.com", "ads.example.com"),
        ("||example.com^", "example.com"),
        ("domain:example.com", "example.com"),
        ("full:www.example.com", "www.example.com"),
        ("domain:example.com @ads @cn", "example.com"),
    ],
)
def test_a_rule_is_read(line: str, host: str) -> None:
    assert parse([line]) == HostList((host,))


@pytest.mark.parametrize("line", ["", "   ", "# note", "! note", "[Adblock Plus 2.0]"])
def test_what_says_nothing_is_passed_over(line: str) -> None:
    assert parse([line]) == HostList(())


@pytest.mark.parametrize(
    "line",
    [
        "regexp:^ads",
        "keyword:ads",
        "include:google",
        "@@||example.com^",
        "||example.com^$third-party",
        "||example.com/path^",
        "||*.example.com^",
        "192.0.2.1",
        "2001:db8::1",
        "com",
        "a b",
        "exa mple.com",
        "x" * 2000 + ".com",
        "domain:<script>",
    ],
)
def test_what_is_not_understood_is_skipped_and_counted(line: str) -> None:
    assert parse([line]) == HostList((), 1)


def test_a_host_that_comes_twice_is_one_rule() -> None:
    assert parse(["a.example", "||a.example^"]) == HostList(("a.example",))


def test_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_RULES", 2)
    assert parse(f"h{n}.example" for n in range(5)) == HostList(("h0.example", "h1.example"), 3)


@given(st.lists(st.text(max_size=60), max_size=20))
def test_no_text_breaks_it(lines: list[str]) -> None:
    found = parse(lines)
    assert len(found.suffixes) + found.skipped <= len(lines)
