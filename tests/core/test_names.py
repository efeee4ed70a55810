"""Host names from outside, and names that people give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.names import HOST_MAX, clean_host, valid_name


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        *(
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("localhost", "localhost"),
        ),
        *((b"a-b.example", "a-b.example"), ("_dmarc.a.example", "_dmarc.a.example")),
        *(
            ("bücher.example", "xn--bcher-kva.example"),
            ("a" * 63 + ".example", "a" * 63 + ".example"),
        ),
    ],
)
def test_a_host_name_has_one_form(raw: str | bytes, clean: str) -> None:
    assert clean_host(raw) == clean


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "",
            ".",
            "..",
            "a..b",
            "-a.example",
            "a-.example",
            "a b",
            "a\nb",
            "a\0b",
            "<script>",
            "a/b",
        ),
        *("a|u", "a:80", "[::1]", "a" * 64, ".".join(["a" * 60] * 5), b"\xff\xfe", "a" * 10_000),
        "ü" * 200,
    ],
)
def test_anything_else_is_no_name(raw: str | bytes) -> None:
    assert clean_host(raw) is None


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_a_clean_name_is_harmless_whatever_came(raw: str | bytes) -> None:
    clean = clean_host(raw)
    if clean is not None:
        assert set(clean) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert len(clean) <= HOST_MAX
        assert clean_host(clean) == clean


@pytest.mark.parametrize("name", ["a", "this-machine", "0", "a" * 32])
def test_a_person_may_call_a_device_that(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize("name", ["", "A", "a b", "a_b", "a" * 33, "ä", "a\n", "a.b", "a:b"])
def test_a_person_may_not_call_a_device_that(name: str) -> None:
    assert not valid_name(name)


@pytest.mark.parametrize("name", ["-h", "--json", "-", "plan"])
def test_a_name_that_means_something_else_on_the_command_line_is_none(name: str) -> None:
    assert not valid_name(name)
