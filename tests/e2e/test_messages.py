"""Messages of a real gateway to a real server: once, and not again after a crash."""

from tests.e2e.clients import curl
from tests.notify.receiver import receiver
from tests.origin import http_talk, origin
from tests.running import Gateway

MB = 1_000_000


def test_a_cap_that_is_used_up_is_told_once_and_not_after_a_crash(fresh: Gateway) -> None:
    with receiver() as server, origin(http_talk) as source:
        fresh.run("notify", "add", server.url)
        fresh.run("cap", "set", "this-machine", "2MB/day")
        curl(fresh, f"{source.url}/{5 * MB}")
        (first,) = server.wait(1)
        assert "the day cap of device:this-machine is used up (2 MB)" in first["text"]
        own = fresh.json("usage", "--all", "--by", "device")["rows"]
        assert sum(row["total"] for row in own if row["device"] == "(gateway)") > 300
        fresh.kill()
        fresh.start()
        fresh.run("device", "proxy-user", "tablet")
        fresh.run("cap", "set", "plan", "1MB/day")
        later = server.wait(2)[1]["text"]
        assert "the day cap of plan is used up" in later
        assert "this-machine" not in later
    assert "SECRET" not in fresh.log.read_text()
