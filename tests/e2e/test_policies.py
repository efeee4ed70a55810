"""Policies on real connections: turned away, cut, slowed; nothing else is touched."""

import ssl
import time
from collections.abc import Callable

import pytest

from tests.e2e.clients import curl, read_until, slow_download, tunnel, within
from tests.origin import echo_talk, http_talk, origin
from tests.running import Gateway

MB = 1_000_000


@pytest.mark.parametrize("via", ["http", "connect"])
def test_a_paused_service_is_refused_with_511(fresh: Gateway, via: str) -> None:
    fresh.run("policy", "pause", "unknown")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/1000", via=via)
        assert (got.status, server.settled()) == (511, [])


def test_a_paused_service_is_refused_over_socks(fresh: Gateway) -> None:
    fresh.run("policy", "pause", "all", "--for", "this-machine")
    with origin(http_talk) as server:
        got = curl(fresh, f"{server.url}/1000", via="socks")
    assert got.code == 97, "curl: the SOCKS server refused"


def test_another_service_goes_on(fresh: Gateway) -> None:
    fresh.run("policy", "preset", "travel")
    with origin(http_talk) as server:
        assert curl(fresh, f"{server.url}/1000").volume == 1000


def test_what_was_held_back_is_counted_and_listed(fresh: Gateway) -> None:
    fresh.run("policy", "pause", "unknown")
    with origin(http_talk) as server:
        for _ in range(3):
            curl(fresh, f"{server.url}/1000")
    (policy,) = fresh.json("policy", "list")
    assert (policy["verb"], policy["what"], policy["attempts"]) == ("pause", "unknown", 3)


def test_a_live_download_of_a_newly_paused_service_is_cut_within_a_second(fresh: Gateway) -> None:
    with origin(http_talk) as server:
        client = slow_download(fresh, f"{server.url}/{200 * MB}", rate="8M")
        assert within(5, lambda: fresh.json("status")["flows"] == 1)
        fresh.run("policy", "pause", "unknown")
        assert within(1, lambda: fresh.json("status")["flows"] == 0)
        assert client.wait(10) != 0


def test_a_pause_rests_on_an_unmetered_uplink_within_a_second_both_ways(fresh: Gateway) -> None:
    fresh.run("policy", "pause", "unknown")
    with origin(http_talk) as server:
        assert curl(fresh, f"{server.url}/1000").status == 511
        fresh.run("uplink", "unmetered")
        assert within(1, lambda: curl(fresh, f"{server.url}/1000").volume == 1000)
        fresh.run("uplink", "metered")
        assert within(1, lambda: curl(fresh, f"{server.url}/1000").status == 511)


def test_clearing_a_policy_lets_the_next_connection_through(fresh: Gateway) -> None:
    policy = fresh.json("policy", "pause", "unknown")
    fresh.run("policy", "clear", policy["id"])
    with origin(http_talk) as server:
        assert within(1, lambda: curl(fresh, f"{server.url}/1000").volume == 1000)


@pytest.mark.parametrize("via", ["http", "connect"])
def test_a_throttled_download_holds_its_rate(fresh: Gateway, via: str) -> None:
    fresh.run("policy", "throttle", "unknown", "--rate", "2Mbit")
    with origin(http_talk) as server:
        begun = time.monotonic()
        got = curl(fresh, f"{server.url}/{MB}", via=via)
        elapsed = time.monotonic() - begun
    assert got.volume == MB
    assert elapsed >= (MB - 62_500) * 8 / 2_000_000 * 0.95, "faster than the rate and its burst"


def test_a_throttle_cap_slows_after_the_limit_and_counts_on(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day", "--at-cap", "throttle:2Mbit")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{MB + 100_000}")
        begun = time.monotonic()
        got = curl(fresh, f"{server.url}/{MB // 2}")
        elapsed = time.monotonic() - begun
    assert got.volume == MB // 2
    assert elapsed >= (MB // 2 - 62_500) * 8 / 2_000_000 * 0.9
    assert within(3, lambda: fresh.json("cap", "list")[0]["used"] >= 3 * MB // 2)
    (cap,) = fresh.json("cap", "list")
    assert (cap["action"], cap["remaining"], cap["reached"]) == ("throttle:2Mbit", 0, True)


def test_past_an_essentials_cap_what_is_not_essential_is_refused(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day", "--at-cap", "essentials")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{2 * MB}")
        assert within(2, lambda: curl(fresh, f"{server.url}/1000").status == 511)


def past_essentials(one: Gateway, url: str) -> None:
    """A cap that lets only the essential through, and is used up."""
    one.run("cap", "set", "this-machine", "1MB/day", "--at-cap", "essentials")
    curl(one, f"{url}/{2 * MB}")
    assert within(2, lambda: curl(one, f"{url}/1000").status == 511)


@pytest.mark.parametrize("via", ["connect", "socks"])
@pytest.mark.parametrize(("name", "got"), [("web.whatsapp.com", 1000), ("www.netflix.com", 0)])
def test_past_an_essentials_cap_the_sni_decides_behind_an_address(
    fresh: Gateway, tls: Callable[[], ssl.SSLContext], via: str, name: str, got: int
) -> None:
    with origin(http_talk) as plain, origin(http_talk, tls=tls()) as server:
        past_essentials(fresh, plain.url)
        to = ("--connect-to", f"{name}:443:127.0.0.1:{server.port}")
        assert curl(fresh, f"https://{name}/1000", *to, via=via).volume == got


def test_what_the_sni_refuses_is_a_reset_after_the_200_and_reaches_no_server(
    fresh: Gateway,
) -> None:
    with origin(http_talk) as plain, origin(echo_talk) as server:
        past_essentials(fresh, plain.url)
        with tunnel(fresh, server.port) as client:
            assert b" 200 " in read_until(client, b"\r\n\r\n")
            client.sendall(b"SSH-2.0-nobody\r\n")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert [one.received for one in server.settled(1)] == [0]


def test_a_server_that_speaks_first_is_not_heard_past_an_essentials_cap(fresh: Gateway) -> None:
    with origin(http_talk) as plain, origin(lambda sock: sock.sendall(b"220 hello")) as server:
        past_essentials(fresh, plain.url)
        with tunnel(fresh, server.port) as client, pytest.raises(ConnectionResetError):
            while b"220" not in (read := client.recv(100)):
                assert read


def test_more_that_is_given_lets_new_flows_through(fresh: Gateway) -> None:
    fresh.run("cap", "set", "this-machine", "1MB/day")
    with origin(http_talk) as server:
        curl(fresh, f"{server.url}/{2 * MB}")
        assert curl(fresh, f"{server.url}/1000").status == 511
        fresh.run("give", "this-machine", "5MB")
        assert within(1, lambda: curl(fresh, f"{server.url}/1000").volume == 1000)
    (cap,) = fresh.json("cap", "list")
    assert cap["limit"] == 6 * MB
