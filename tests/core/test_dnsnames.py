"""Names of addresses out of dnsmasq's log."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import dnsnames
from tripgate.core.dnsnames import HOLD_S, DnsNames

PHONE, LAPTOP = ip_address("10.77.0.5"), ip_address("10.77.0.6")
SERVER = ip_address("192.0.2.1")


def asked(serial: int = 1, client: str = "10.77.0.5", name: str = "www.example.com") -> str:
    return f"dnsmasq[77]: {serial} {client}/40000 query[A] {name} from {client}"


def told(serial: int = 1, client: str = "10.77.0.5", said: str = "reply x.cdn.example is") -> str:
    return f"dnsmasq[77]: {serial} {client}/40000 {said} 192.0.2.1\n"


def names(*lines: str) -> DnsNames:
    made = DnsNames()
    for line in lines:
        made.line(line, 0)
    return made


@pytest.mark.parametrize(
    "said", ["reply x.cdn.example is", "cached x.cdn.example is", "config x.cdn.example is"]
)
def test_an_address_has_the_name_that_was_asked_for(said: str) -> None:
    assert names(asked(), told(said=said)).name(PHONE, SERVER, 0) == "www.example.com"


def test_a_name_is_the_asker_s_alone() -> None:
    assert names(asked(), told()).name(LAPTOP, SERVER, 0) is None


def test_an_answer_to_another_s_question_names_nothing() -> None:
    made = names(asked(), told(client="10.77.0.6"))
    assert made.name(LAPTOP, SERVER, 0) is None


def test_a_name_holds_for_a_time_only() -> None:
    made = names(asked(), told())
    assert made.name(PHONE, SERVER, HOLD_S) == "www.example.com"
    assert made.name(PHONE, SERVER, HOLD_S + 1) is None


def test_names_of_an_address_that_another_device_has_now_are_forgotten() -> None:
    made = names(asked(), told(), asked(2))
    made.forget(PHONE)
    made.line(told(2), 0)
    assert made.name(PHONE, SERVER, 0) is None


@pytest.mark.parametrize(
    "line",
    [
        asked(name="ex<b>ample"),
        asked(name="a" * 254),
        asked(client="10.77.0.555"),
        "x" + asked(),
        asked() + " more",
        asked().replace("query[A]", "query[A"),
        asked() + " " * 2000,
    ],
)
def test_a_question_of_another_form_names_nothing(line: str) -> None:
    made = names(line, told())
    assert made.name(PHONE, SERVER, 0) is None


def test_open_questions_are_bounded() -> None:
    made = names(*(asked(serial) for serial in range(dnsnames.QUESTIONS_MOST + 1)), told(0))
    assert made.name(PHONE, SERVER, 0) is None


def test_names_of_a_device_are_bounded() -> None:
    made = names(asked(), told())
    for number in range(dnsnames.NAMES_MOST):
        made.line(told().replace("192.0.2.1", str(ip_address(0x0B000000 + number))), 0)
    assert made.name(PHONE, SERVER, 0) is None


def test_devices_are_bounded() -> None:
    made = names(asked(), told())
    for number in range(dnsnames.CLIENTS_MOST):
        client = str(ip_address(0x0A000000 + number))
        made.line(asked(2, client), 0)
        made.line(told(2, client), 0)
    assert made.name(PHONE, SERVER, 0) is None


@given(st.text(max_size=200))
def test_no_line_breaks_it(line: str) -> None:
    names(line, f"dnsmasq: {line}", f"dnsmasq: 1 10.77.0.5/1 reply {line}")
