"""The lease file of dnsmasq."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core.leasefile import LEASES_MOST, DhcpLease, parse_leases

MAC = "02:00:00:00:00:01"
LINE = f"1767225600 {MAC} 10.77.0.5 phone 01:{MAC}"


def test_a_line_is_a_lease() -> None:
    address = ip_address("10.77.0.5")
    assert parse_leases(LINE + "\n") == {address: DhcpLease(MAC, address, "phone")}


@pytest.mark.parametrize("shown", ["*", "<script>", "a" * 40])
def test_a_hostile_host_name_is_none(shown: str) -> None:
    (lease,) = parse_leases(LINE.replace("phone", shown)).values()
    assert lease.hostname is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x" + LINE,
        LINE.replace("10.77.0.5", "10.77.0.256"),
        LINE.replace(MAC, "06-" + MAC, 1),
        LINE.replace("phone", "two words"),
        LINE.replace("10.77.0.5", "fd77::5"),
        LINE.rpartition(" ")[0],
        "-1" + LINE,
    ],
)
def test_a_line_of_another_form_is_skipped(line: str) -> None:
    good = LINE.replace("10.77.0.5", "10.77.0.6")
    assert [str(address) for address in parse_leases(f"{line}\n{good}\n")] == ["10.77.0.6"]


def test_of_two_leases_of_an_address_the_later_one_counts() -> None:
    other = LINE.replace(":01 10", ":02 10")
    (lease,) = parse_leases(f"{LINE}\n{other}\n").values()
    assert lease.mac == "02:00:00:00:00:02"


def test_leases_of_dhcpv6_are_not_read() -> None:
    assert parse_leases(f"duid 00:01\n{LINE}\n") == {}


def test_the_number_of_leases_is_bounded() -> None:
    lines = [LINE.replace("10.77.0.5", str(ip_address(0x0A000000 + n))) for n in range(5000)]
    assert len(parse_leases("\n".join(lines))) == LEASES_MOST


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    parse_leases(text)
