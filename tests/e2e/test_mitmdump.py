"""``mitmdump -s addons/gateway.py``: the same meter and the same caps in a stock mitmproxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients import curl
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


def test_without_a_ledger_nothing_passes(tmp_path: Path) -> None:
    options = ("--set", "termlog_verbosity=error")
    one = StockMitmproxy(tmp_path / "state", options=options)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "redis").write_text("in the way of the ledger's folder")
    with origin(http_talk) as server:
        with pytest.raises(AssertionError):
            one.start()
        assert curl(one, f"{server.url}/1").volume == 0
        assert server.settled() == []
    assert one.stop() == 0
