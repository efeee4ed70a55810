"""A cap cuts: how precisely, what the client is told, and how it is raised."""

import subprocess

import pytest

from tests.e2e.clients import curl, curl_command, read_report, slow_download, within
from tests.origin import http_talk, origin
from tests.running import Gateway

MB = 1_000_000
OVERSHOOT = 64 * 1024


@pytest.mark.parametrize("via", ["http", "connect", "socks"])
def test_a_download_stops_at_the_cap(fresh: Gateway, via: str) -> None:
    fresh.run("cap", "set", "this-machine", "5MB/day")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/{50 * MB}", via=via)
    assert got.code != 0, "a cut download must not look complete"
    assert 4 * MB < got.volume <= 5 * MB + OVERSHOOT


def test_eight_parallel_downloads_stop_at_the_cap_together(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "20MB/day")
    with origin(http_talk) as server:
        clients = [
            subprocess.Popen(
                curl_command(fresh, f"{server.url}/{50 * MB}", "-o", "/dev/null"),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for _ in range(8)
        ]  # fmt: skip
        got = [read_report(p.wait(60), p.stdout.read()) for p in clients]  # type: ignore[union-attr]
    assert 15 * MB < sum(one.volume for one in got) <= 20 * MB + OVERSHOOT


def test_an_upload_stops_at_the_cap(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "5MB/day")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/put", "-T", "-", stdin=bytes(20 * MB))
        received = sum(one.received for one in server.settled(1))
    assert got.code != 0
    assert received <= 5 * MB + OVERSHOOT


def test_over_the_cap_http_and_connect_get_a_page_that_says_which_cap(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}")
        plain = curl(fresh, f"{server.url}/1", keep=True)
        tunnel = curl(fresh, f"{server.url}/1", via="connect")
        html = curl(fresh, f"{server.url}/1", "-H", "Accept: text/html", keep=True)
    assert (plain.status, tunnel.status, html.status) == (511, 511, 511)
    assert "this-machine" in plain.text
    assert "1 MB" in plain.text
    assert "<html" in html.text.lower()


def test_over_the_cap_the_page_is_in_the_readers_language(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}")
        header = ("-H", "Accept: text/html", "-H", "Accept-Language: es-MX")
        page = curl(fresh, f"{server.url}/1", *header, keep=True)
    assert 'lang="es' in page.text


def test_over_the_cap_a_large_upload_is_answered_too(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}")
        got = curl(fresh, f"{server.url}/put", "-T", "-", stdin=bytes(8 * MB))
    assert got.status == 511


def test_over_the_cap_socks_says_not_allowed(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}")
        command = curl_command(fresh, f"{server.url}/1", via="socks")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "(2)" in done.stderr  # reply 0x02, RFC 1928 section 6


@pytest.mark.parametrize(
    "change", [("set", "this-machine", "100MB/day"), ("clear", "this-machine")]
)
def test_raising_or_clearing_a_cap_opens_within_a_second(
    fresh: Gateway, change: tuple[str, ...]
) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{5 * MB}")
        assert curl(fresh, f"{server.url}/1").status == 511
        fresh.run("cap", *change)
        assert within(1.0, lambda: curl(fresh, f"{server.url}/1").status == 200)


def test_a_cap_set_in_mid_download_cuts_it(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{500 * MB}")
        assert within(10, lambda: fresh.used() > 1 * MB)
        fresh.run("cap", "set", "this-machine", "2MB/day")
        assert client.wait(10) != 0


def test_a_cap_that_leaves_room_does_not_disturb_a_running_download(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{20 * MB}")
        for limit in (500, 400, 600):
            fresh.run("cap", "set", "this-machine", f"{limit}MB/day")
        got = read_report(client.wait(30), client.stdout.read())  # type: ignore[union-attr]
    assert (got.code, got.volume) == (0, 20 * MB)


def test_the_cap_list_shows_what_is_left(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "10MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{2 * MB}")
    fresh.settled_use()
    (cap,) = fresh.json("cap", "list")
    assert cap["target"] == "device:this-machine"
    assert 2 * MB < cap["used"] < 2 * MB + 2048
    assert cap["remaining"] == 10 * MB - cap["used"]
    assert cap["reached"] is False


@pytest.mark.parametrize("target", ["plan", "person:ana"])
def test_a_cap_on_the_plan_or_the_person_cuts_their_devices(fresh: Gateway, target: str) -> None:
    fresh.run("person", "add", "ana")
    fresh.run("device", "approve", "this-machine", "--person", "ana")
    fresh.run("cap", "set", target, "3MB/trip")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/{20 * MB}")
        after = curl(fresh, f"{server.url}/1")
    assert got.volume <= 3 * MB + OVERSHOOT
    assert after.status == 511


def test_a_used_up_plan_volume_cuts(fresh: Gateway) -> None:
    fresh.run("plan", "set", "--volume", "3MB", "--valid", "7d", "--start", "now")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/{20 * MB}")
    assert got.volume <= 3 * MB + OVERSHOOT


def test_a_blocked_device_is_cut_and_told_so(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{500 * MB}")
        assert within(10, lambda: fresh.used() > 0)
        fresh.run("device", "block", "this-machine")
        assert client.wait(5) != 0
        assert curl(fresh, f"{server.url}/1").status == 511


def test_a_throttled_device_is_charged_for_no_more_than_it_gets(fresh: Gateway) -> None:
    """Nor does the server send more: what it was let send would be billed, and break a cap."""
    fresh.run("cap", "set", "this-machine", "20MB/day")
    fresh.run("policy", "throttle", "unknown", "--rate", "256kbit")
    with origin(http_talk) as server:
        command = curl_command(fresh, f"{server.url}/{50 * MB}", "-m", "4", "-o", "/dev/null")
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        got = [read_report(p.wait(60), p.stdout.read()) for p in clients]  # type: ignore[union-attr]
        sent = sum(one.acked for one in server.settled(2))
    delivered = sum(one.volume for one in got)
    assert delivered > 0
    assert sent <= delivered + 128 * 1024
    assert fresh.settled_use() <= delivered + 128 * 1024


def test_a_plan_is_billed_by_its_step_and_each_run_is_a_session(fresh: Gateway) -> None:
    fresh.run("plan", "set", "--volume", "1MB", "--step", "100kB", "--start", "now")
    with origin(http_talk) as server:
        for runs in (1, 2):
            for _ in range(3):
                assert curl(fresh, f"{server.url}/1000").volume == 1000
            assert fresh.json("plan", "show")["used"] == runs * 100_000
            assert fresh.stop() == 0
            fresh.start()
        assert fresh.json("usage", "--all")["total"] < 10_000, "devices count what they moved"
        assert curl(fresh, f"{server.url}/{2 * MB}").volume < 800_000
        used = fresh.json("plan", "show")["used"]
        assert used in (MB, MB + 100_000), "what arrived past the last step is billed as well"
