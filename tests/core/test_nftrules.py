import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tripgate.core import marks
from tripgate.core.nftrules import (
    new_quota,
    no_quota,
    render,
    render_removal,
    slot_marks,
)
from tripgate.core.routerspec import RouterSpec, SpecError, Station

SPEC = RouterSpec(lan="lan0", uplinks=("wan0",), tproxy=8443, dns_open=5301, dns_closed=5302)
ONE, TWO = "02:00:00:00:00:01", "02:00:00:00:00:02"


def _rules(chain: str, spec: RouterSpec = SPEC) -> list[str]:
    head = f"add rule inet tripgate {chain} "
    lines = render(spec, {}).splitlines()
    return [line.removeprefix(head) for line in lines if line.startswith(head)]


def test_the_same_settings_give_the_same_text() -> None:
    stations = {2: Station(frozenset([ONE, TWO]), open=True), 3: Station()}
    assert render(SPEC, stations) == render(SPEC, dict(reversed(stations.items())))


def test_every_rule_is_in_a_chain_that_is_flushed_first() -> None:
    text = render(SPEC, {})
    for line in re.findall(r"^add rule (?:inet|arp) tripgate \w+", text, re.MULTILINE):
        flush = line.replace("add rule", "flush chain")
        assert 0 <= text.find(flush + "\n") < text.index(line)


def test_what_counts_is_never_flushed() -> None:
    flushed = re.findall(r"^flush (?:set|map) \w+ \w+ (\w+)$", render(SPEC, {}), re.MULTILINE)
    assert sorted(set(flushed)) == ["owners", "slots", "uplinks"]


def test_uplink_ingress_is_counted_by_the_first_hook() -> None:
    text = render(SPEC, {})
    hooks = re.findall(
        r"add chain inet tripgate (\w+) { type \w+ hook prerouting priority (-?\d+)", text
    )
    assert min(hooks, key=lambda hook: int(hook[1]))[0] == "uplink_in"


def test_uplink_ingress_is_counted_without_a_verdict_before() -> None:
    assert _rules("uplink_in") == ["iifname @uplinks jump count_in"]
    assert not any(re.search("drop|reject|return|accept", rule) for rule in _rules("count_in"))


def test_what_conntrack_does_not_know_is_asked_of_the_relays_socket_before_it_is_counted() -> None:
    rules = _rules("count_in")
    asked = next(n for n, rule in enumerate(rules) if "socket mark" in rule)
    counted = next(n for n, rule in enumerate(rules) if rule.startswith("update @down"))
    assert rules[asked].startswith("meta mark 0 ")
    assert asked < counted


def test_forwarding_is_denied_by_policy() -> None:
    assert "forward { type filter hook forward priority 0; policy drop; }" in render(SPEC, {})


def test_only_a_quota_lets_forwarded_packets_pass() -> None:
    passing = [
        rule
        for chain in ("forward_up", "forward_down")
        for rule in _rules(chain)
        if "accept" in rule or "forwarded_up" in rule
    ]
    assert len(passing) == 2
    assert all(rule.startswith("quota name ct mark map @grants ") for rule in passing)


@pytest.mark.parametrize(("quic", "rejected"), [("reject", 1), ("count", 0)])
def test_quic_by_setting(quic: str, rejected: int) -> None:
    rules = _rules("forward_up", replace(SPEC, quic=quic))
    assert sum("@th,64,1 1 reject" in rule for rule in rules) == rejected


@pytest.mark.parametrize(("isolation", "passing"), [(True, 0), (False, 1)])
def test_client_isolation_by_setting(isolation: bool, passing: int) -> None:
    rules = _rules("forward", replace(SPEC, isolation=isolation))
    assert sum('iifname "lan0" oifname "lan0"' in rule for rule in rules) == passing


@pytest.mark.parametrize(
    ("v6", "nat66", "translated"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_ipv6_is_translated_by_setting(v6: bool, nat66: bool, translated: int) -> None:
    rules = _rules("nat_out", replace(SPEC, v6=v6, nat66=nat66))
    assert sum("nfproto ipv6" in rule for rule in rules) == translated


def test_a_proxy_is_reached_if_asked_for() -> None:
    rules = _rules("input_lan", replace(SPEC, proxies=(8080, 1080)))
    assert "tcp dport { 80, 1080, 8080, 8088 } accept" in rules


def test_an_open_devices_mark_has_the_open_bit() -> None:
    stations = {2: Station(frozenset([ONE]), open=True), 3: Station(frozenset([TWO]))}
    assert slot_marks(stations) == {ONE: 2 | marks.OPEN, TWO: 3}


@pytest.mark.parametrize("first_open", [True, False])
def test_a_claim_on_anothers_address_opens_nothing(first_open: bool) -> None:
    stations = {
        2: Station(frozenset([ONE]), open=first_open),
        3: Station(frozenset([ONE]), open=not first_open),
    }
    assert slot_marks(stations) == {ONE: 2}


def test_a_slot_that_is_no_devices_is_refused() -> None:
    with pytest.raises(SpecError):
        render(SPEC, {marks.GATEWAY: Station(frozenset([ONE]), open=True)})


@pytest.mark.parametrize("slot", [0, 1, 4096])
@pytest.mark.parametrize("command", [partial(new_quota, remaining=5), no_quota])
def test_a_quota_is_for_a_device_only(slot: int, command: Callable[[int], str]) -> None:
    with pytest.raises(SpecError):
        command(slot)


def test_a_new_quota_is_no_longer_spent() -> None:
    assert new_quota(7, 5).endswith("delete element inet tripgate spent { 7 }\n")


def test_removal_is_of_our_tables_alone() -> None:
    deleted = re.findall(r"^delete table (.*)$", render_removal(), re.MULTILINE)
    assert deleted == ["inet tripgate", "arp tripgate"]


def test_a_devices_bytes_leave_by_an_uplink_or_not_at_all() -> None:
    marked = f"meta mark and {marks.SLOT_MASK:#x} != 0"
    assert _rules("output")[0] == f'oifname != @uplinks oifname != "lan0" {marked} drop'


def test_questions_are_limited_per_device_before_anything_is_accepted() -> None:
    rules = _rules("input_lan")
    limited = next(
        n for n, rule in enumerate(rules) if "update @asking { ether saddr limit" in rule
    )
    assert "dport { 5301, 5302 }" in rules[limited]
    assert limited < min(n for n, rule in enumerate(rules) if "accept" in rule)
