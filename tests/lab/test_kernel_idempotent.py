"""Applied twice, nothing changes; removed, nothing is left."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.lab import Lab, server4
from tests.lab.router import SPEC, Router, router, slot
from tripgate.kernel import routes
from tripgate.kernel.recorded import Recorded, RecordError
from tripgate.kernel.table import KernelTable
from tripgate.kernel.tuning import tune

READABLE = 0o444


@pytest.fixture
def gateway(lab: Lab) -> Iterator[Router]:
    with router(lab) as made:
        with lab.inside(lab.gateway):
            routes.apply(SPEC.lan)
        yield made


def _routing(lab: Lab) -> list[str]:
    commands = (["rule", "list"], ["route", "list", "table", "all"])
    return [
        lab.run(lab.gateway, ["ip", family, *command]).stdout
        for family in ("-4", "-6")
        for command in commands
    ]


def _sysctls(lab: Lab) -> dict[str, str]:
    """All switches of IPv4, IPv6 and netfilter in the gateway."""
    found = {}
    with lab.inside(lab.gateway):
        for family in ("ipv4", "ipv6"):
            for path in sorted(Path("/proc/sys/net", family).rglob("*")):
                if path.is_file() and path.stat().st_mode & 0o400:
                    try:
                        found[str(path)] = path.read_text(encoding="utf-8", errors="replace")
                    except OSError as error:
                        found[str(path)] = str(error)
    return found


def _links(lab: Lab) -> tuple[list[tuple[str, int]], str]:
    shown = json.loads(lab.run(lab.gateway, ["ip", "-j", "-d", "link"]).stdout)
    segments = [(link["ifname"], link["gso_max_segs"]) for link in shown]
    return segments, lab.run(lab.gateway, ["ethtool", "-k", "wan0"]).stdout


def _used(lab: Lab, gateway: Router) -> None:
    gateway.open(1)
    lab.run(lab.device(1), ["ping", "-q", "-c", "3", "-i", "0.01", server4(1)])


def test_loading_the_rules_again_changes_nothing(lab: Lab, gateway: Router) -> None:
    _used(lab, gateway)
    before = gateway.dump()
    for _ in range(3):
        gateway.table.apply(SPEC)
    assert gateway.dump() == before


def test_another_programs_loading_resets_no_counter(lab: Lab, gateway: Router) -> None:
    _used(lab, gateway)
    before = gateway.look().table
    with router(lab) as later:
        after = later.look().table
    kept = [(r.slots[slot(1)], r.forwarded, r.quotas) for r in (before, after)]
    assert kept[0] == kept[1]


def test_routes_applied_again_change_nothing(lab: Lab, gateway: Router) -> None:
    before = _routing(lab)
    with lab.inside(lab.gateway):
        routes.apply(SPEC.lan)
        assert routes.intact(SPEC.lan)
    assert _routing(lab) == before


def test_routes_of_another_lan_take_the_place_of_the_first(lab: Lab, gateway: Router) -> None:
    with lab.inside(lab.gateway):
        routes.apply("wlan9")
        assert (routes.intact(SPEC.lan), routes.intact("wlan9")) == (False, True)


def test_a_change_of_settings_keeps_the_counts(lab: Lab, gateway: Router) -> None:
    _used(lab, gateway)
    before = gateway.look().table.slots[slot(1)]
    gateway.table.apply(replace(SPEC, uplinks=("wan0", "usb0"), quic="count", ssh="off"))
    assert gateway.look().table.slots[slot(1)] == before


def test_without_an_uplink_the_rules_load(lab: Lab, gateway: Router) -> None:
    gateway.table.apply(replace(SPEC, uplinks=()))
    assert gateway.look().uplinks == {}


def test_removal_leaves_no_trace(lab: Lab, tmp_path: Path) -> None:
    lab.run(lab.gateway, ["ip", "link", "set", "wan0", "gso_max_segs", "77"])
    lab.run(lab.gateway, ["ethtool", "-K", "wan0", "gro", "on"])
    lab.sysctl(lab.gateway, "ipv4/conf/lan0/forwarding", "1")
    lab.run(lab.gateway, ["nft", "add", "table", "inet", "somebody"])
    rules = ["nft", "list", "ruleset"]
    before = (_routing(lab), _sysctls(lab), _links(lab), lab.run(lab.gateway, rules).stdout)
    with lab.inside(lab.gateway):
        for _ in range(2):
            recorded, table = Recorded(tmp_path / "recorded.json"), KernelTable()
            tune(recorded, SPEC)
            table.apply(SPEC)
            routes.apply(SPEC.lan)
        table.remove()
        routes.remove()
        recorded.restore()
    after = (_routing(lab), _sysctls(lab), _links(lab), lab.run(lab.gateway, rules).stdout)
    assert after == before
    assert list(tmp_path.iterdir()) == []


def test_removing_what_is_not_there_is_fine(lab: Lab) -> None:
    with lab.inside(lab.gateway):
        KernelTable().remove()
        routes.remove()


def test_tuning_makes_a_router(lab: Lab, tmp_path: Path) -> None:
    with lab.inside(lab.gateway):
        tune(Recorded(tmp_path / "recorded.json"), SPEC)
    names = ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/wan0/accept_ra")
    assert [lab.sysctl(lab.gateway, name) for name in names] == ["1", "1", "2"]


def test_router_advertisements_are_taken_before_forwarding(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    with lab.inside(lab.gateway):
        tune(Recorded(path), SPEC)
    names = [entry[1] for entry in json.loads(path.read_text(encoding="utf-8"))["entries"]]
    order = ("net/ipv6/conf/wan0/accept_ra", "net/ipv6/conf/all/forwarding")
    assert names.index(order[0]) < names.index(order[1])


def test_a_value_is_recorded_before_it_is_changed(lab: Lab, tmp_path: Path) -> None:
    with lab.inside(lab.gateway):
        recorded = Recorded(tmp_path / "gone" / "recorded.json")
        with pytest.raises(OSError):
            recorded.sysctl("net/ipv4/ip_forward", "1")
    assert lab.sysctl(lab.gateway, "ipv4/ip_forward") == "0"


def test_values_of_another_boot_are_dropped(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    with lab.inside(lab.gateway):
        Recorded(path, boot="before").sysctl("net/ipv4/ip_forward", "1")
        Recorded(path).restore()
    assert lab.sysctl(lab.gateway, "ipv4/ip_forward") == "1"


def test_a_vanished_interface_is_passed_over(lab: Lab, tmp_path: Path) -> None:
    with lab.inside(lab.gateway):
        recorded = Recorded(tmp_path / "recorded.json")
        recorded.gro("wan0", "on")
        recorded.sysctl("net/ipv6/conf/wan0/accept_ra", "2")
        lab.run(lab.gateway, ["ip", "link", "delete", "wan0"])
        recorded.restore()
    assert not recorded.path.exists()


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    path.write_text('{"version": 1, "boot": "x", "entries": [["shell", "a", "b"]]}')
    with pytest.raises(RecordError, match=r"recorded\.json"):
        Recorded(path)


@pytest.mark.parametrize("name", ["net/../kernel/core_pattern", "kernel/core_pattern", "/etc/x"])
def test_only_the_networks_sysctls_are_set(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError):
        Recorded(tmp_path / "recorded.json").sysctl(name, "1")


def test_a_file_is_put_back(tmp_path: Path) -> None:
    old, new = tmp_path / "old.conf", tmp_path / "new.conf"
    old.write_text("theirs")
    old.chmod(READABLE)
    recorded = Recorded(tmp_path / "recorded.json")
    for text in ("ours", "ours later"):
        recorded.file(old, text)
        recorded.file(new, text)
    Recorded(tmp_path / "recorded.json").restore()
    state = (old.read_text(), old.stat().st_mode & 0o777, new.exists())
    assert state == ("theirs", READABLE, False)


def test_a_file_that_another_hand_changed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "some.conf"
    recorded = Recorded(tmp_path / "recorded.json")
    recorded.file(path, "ours")
    path.write_text("theirs by now")
    recorded.restore()
    assert path.read_text() == "theirs by now"
