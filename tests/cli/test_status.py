"""``tripgate status`` says what the live gateway says, and that there is none."""

import json
import re
from typing import Any

import pytest

from tests.cli.conftest import World
from tests.cli.gateways import STATUS, answering, gateway

NONE = "no gateway is running for {}: start it with ./deploy/up"
LONG = json.dumps({**STATUS, "padding": "x" * 1024 * 1024}).encode()


def test_json_is_what_the_gateway_answered(empty: World) -> None:
    with gateway(empty.state) as status:
        assert empty.json("status") == status


def test_the_table_has_volumes_and_spans_for_people(empty: World) -> None:
    with gateway(empty.state):
        lines = empty.run("status").splitlines()
    assert lines == [
        "mode     explicit",
        "version  0.1.0",
        "ledger   up",
        "clock    trusted",
        "flows    3",
        "devices  2",
        "uplink   up 1 kB  down 5 MB  unattributed 0 B  since the start",
        "up for   1 d 02:03:04",
    ]


def test_an_uplink_that_is_down_is_named(empty: World) -> None:
    with gateway(empty.state, uplinks={"up0": {"link": "down"}, "up1": {"link": "up"}}):
        assert "up0 down: no carrier or default route" in empty.run("status")


def test_without_a_gateway_it_is_exit_code_3_and_says_how_to_start_one(empty: World) -> None:
    assert empty.refused("status") == (3, NONE.format(empty.state))


def test_redis_alone_is_no_gateway(world: World) -> None:
    assert world.refused("status") == (3, NONE.format(world.state))


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b'"up"', b"\xff\xfe", b"{} {}", b"[" * 100_000, LONG],
    ids=["nothing", "half", "a list", "a text", "no text", "two", "deep", "too long"],
)
def test_an_answer_that_is_not_one_object_is_no_gateway(empty: World, answer: bytes) -> None:
    with answering(empty.state, answer):
        assert empty.refused("status") == (3, NONE.format(empty.state))


def test_an_answer_of_exactly_the_cap_is_read(empty: World) -> None:
    document = {"padding": ""}
    document["padding"] = "x" * (1024 * 1024 - len(json.dumps(document)))
    with answering(empty.state, json.dumps(document).encode()):
        assert empty.json("status") == document


def test_a_gateway_that_hangs_is_given_two_seconds(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tripgate.cli.control.ANSWER_S", 0.05)
    with answering(empty.state, b'{"mode":', close=False):
        assert empty.refused("status") == (3, NONE.format(empty.state))


def test_a_status_with_odd_values_is_drawn_all_the_same(empty: World) -> None:
    with gateway(empty.state, uplink=None, uptime_s="long", flows=None):
        lines = empty.run("status").splitlines()
    assert lines[4] == "flows    -"
    assert lines[6:] == ["uplink   up -  down -  unattributed -  since the start", "up for   -"]


def test_off_a_terminal_each_look_of_a_watch_is_below_a_line_with_the_time(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def twice(stop: object, frame: Any, drawn: Any, show: Any) -> None:
        show(drawn)
        show(await frame())

    monkeypatch.setattr("tripgate.cli.watch._repeat", twice)
    with gateway(empty.state):
        lines = empty.run("status", "--watch").splitlines()
    at = [
        n for n, line in enumerate(lines) if re.fullmatch(r"--- \d{4}-\d\d-\d\d [\d:]{8} UTC", line)
    ]
    assert at == [0, len(lines) // 2]
