"""``mitmdump -s addons/gateway.py``: the same meter and the same caps in a stock mitmproxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import curl, within
from tests.origin import http_talk, origin
from tests.running import Gateway, StockMitmproxy, gateway

MB = 1_000_000


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Gateway]:
    with gateway(tmp_path / "state", kind=StockMitmproxy) as one:
        yield one


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_it_meters_to_the_byte(stock: Gateway, via: str) -> None:
    with origin(http_talk) as server:
        assert curl(stock, f"{server.url}/{10 * MB}", via=via).volume == 10 * MB
        metered, truth = stock.settled_use(), server.total
    assert abs(metered - truth) <= 2048


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_it_cuts_at_the_cap(stock: Gateway, via: str) -> None:
    stock.run("cap", "set", "this-machine", "3MB/day")
    with origin(http_talk) as server:
        got = curl(stock, f"{server.url}/{20 * MB}", via=via)
        assert got.volume <= 3 * MB + 64 * 1024
        assert curl(stock, f"{server.url}/1").status == 511


def test_without_a_ledger_nothing_passes_until_there_is_one(tmp_path: Path) -> None:
    one = StockMitmproxy(tmp_path / "state")
    (tmp_path / "state").mkdir(mode=0o700)
    in_the_way = tmp_path / "state" / "redis"
    in_the_way.write_text("where the ledger's folder should be")
    one.spawn()
    try:
        with origin(http_talk) as server:
            assert within(20, lambda: "nothing passes" in one.log.read_text())
            assert curl(one, f"{server.url}/1").volume == 0
            assert server.settled() == []
            in_the_way.unlink()
            assert within(20, lambda: curl(one, f"{server.url}/1").volume == 1)
    finally:
        assert one.stop() == 0
