"""``tripgate router``: the files of system services, below a root of the test's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Done, World

LAN = ("--lan", "wlan0", "--uplink", "usb0")
HOTSPOT = """\
[hotspot]
ssid = "Van 7"
country = "DE"
key = "correct horse"
"""


class Router:
    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root

    def cli(self, *args: str) -> Done:
        return self.world.cli("router", *args, "--root", str(self.root), state=False)

    def json(self, *args: str) -> Any:
        done = self.cli(*args, "--json")
        assert (done.code, done.err) == (0, ""), done
        return json.loads(done.out)


@pytest.fixture
def router(empty: World, tmp_path: Path) -> Router:
    root = tmp_path / "root"
    root.mkdir()
    return Router(empty, root)


def test_a_plan_shows_the_files_and_installs_none(router: Router) -> None:
    rows = router.json("plan", *LAN)
    assert ("/etc/tripgate/dnsmasq.conf", "new") in {(row["path"], row["state"]) for row in rows}
    assert list(router.root.iterdir()) == []


def test_a_plan_prints_what_apply_then_writes(router: Router) -> None:
    said, rows = router.cli("plan", *LAN).out, router.json("plan", *LAN)
    router.json("apply", *LAN)
    for row in rows:
        written = (router.root / row["path"][1:]).read_text()
        assert row["text"] == written
        assert f"\n==> {row['path']} <==\n{written.rstrip()}\n" in said


def test_a_plan_has_no_text_for_what_it_takes_back(router: Router, tmp_path: Path) -> None:
    config = tmp_path / "tripgate.toml"
    config.write_text(HOTSPOT)
    router.json("apply", *LAN, "--config", str(config))
    gone = [row for row in router.json("plan", *LAN) if row["state"] == "gone"]
    assert gone
    assert {row["text"] for row in gone} == {None}


def test_a_plan_shows_no_key(router: Router, tmp_path: Path) -> None:
    config = tmp_path / "tripgate.toml"
    config.write_text(HOTSPOT + 'security = "transition"\npersons = { maria = "battery staple" }\n')
    for form in ((), ("--json",)):
        said = router.cli("plan", *LAN, "--config", str(config), *form)
        assert said.code == 0, said
        assert "sae_password=(hidden)" in said.out
        assert "wpa_passphrase=(hidden)" in said.out
        assert "keyid=maria 00:00:00:00:00:00 (hidden)" in said.out
        for secret in ("correct horse", "battery staple"):
            assert secret not in said.out


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_an_interface_that_is_not_there_is_a_warning(router: Router, command: str) -> None:
    (router.root / "sys/class/net/wlan0").mkdir(parents=True)
    assert router.cli(command, *LAN).err == ""
    done = router.cli(command, "--lan", "nix0", "--uplink", "usb0")
    assert (done.code, done.err) == (
        0,
        "tripgate: warning: this machine has no interface nix0 now: `ip link` lists those it has\n",
    )


def test_a_second_apply_changes_nothing(router: Router) -> None:
    router.json("apply", *LAN)
    assert {row["state"] for row in router.json("apply", *LAN)} == {"same"}


def test_remove_takes_back_what_apply_installed(router: Router) -> None:
    router.json("apply", *LAN)
    assert {row["state"] for row in router.json("remove")} == {"gone"}
    assert not [path for path in router.root.rglob("*") if path.is_file()]


def test_remove_with_nothing_installed_says_so(router: Router) -> None:
    done = router.cli("remove")
    assert done.out == "nothing of tripgate's is installed: tripgate router apply --lan IFACE\n"


def test_a_table_is_for_people(router: Router) -> None:
    heading, first, *_ = router.cli("plan", *LAN).out.splitlines()
    assert heading.split() == ["file", "becomes"]
    assert first.split() == ["/etc/systemd/system/tripgate.service", "install"]


def test_a_file_of_somebody_else_is_refused_without_force(router: Router) -> None:
    path = router.root / "etc/tripgate/dnsmasq.conf"
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    done = router.cli("apply", *LAN)
    assert (done.code, path.read_text()) == (1, "mine\n")
    assert done.err.endswith("move it away, or use --force\n")
    assert router.cli("apply", *LAN, "--force").code == 0


def test_the_hotspot_comes_from_the_settings_file(router: Router, tmp_path: Path) -> None:
    config = tmp_path / "tripgate.toml"
    config.write_text(HOTSPOT)
    router.json("apply", *LAN, "--config", str(config))
    conf = router.root / "etc/tripgate/hostapd.conf"
    assert "sae_password=correct horse\n" in conf.read_text()
    assert conf.stat().st_mode & 0o777 == 0o600


def test_the_gateway_s_unit_starts_it_with_these_options(router: Router) -> None:
    router.json("apply", *LAN, "--subnet", "10.9.0.1/24")
    unit = (router.root / "etc/systemd/system/tripgate.service").read_text()
    assert (
        "up --mode router --services system --lan wlan0 --uplink usb0 --subnet 10.9.0.1/24" in unit
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "--mode router needs --lan IFACE, the interface of the devices"),
        (("--lan", "a,b"), "--lan 'a,b': an interface, as in wlan0"),
        (("--lan", "a b"), "--lan 'a b': an interface, as in wlan0"),
        (("--lan", "wlan0", "--subnet", "8.8.8.8/24"), "--subnet '8.8.8.8/24': the gateway's"),
    ],
)
def test_settings_that_make_no_router_are_a_usage_error(
    router: Router, args: tuple[str, ...], line: str
) -> None:
    done = router.cli("plan", *args)
    assert done.code == 2
    assert done.err.startswith(f"tripgate: {line}")


@pytest.mark.parametrize(
    "wrong",
    [
        'key = "has a | in it"',
        "key = 12345678",
        'key = "correct horse"\nchanel = 6',
        'key = "correct horse"\nchannel = 14',
        'persons = { maria = "too sht" }',
    ],
)
def test_a_mistake_in_the_hotspot_is_told_without_its_keys(
    router: Router, tmp_path: Path, wrong: str
) -> None:
    config = tmp_path / "tripgate.toml"
    config.write_text(f'[hotspot]\nssid = "Van"\ncountry = "DE"\n{wrong}\n')
    done = router.cli("plan", *LAN, "--config", str(config))
    assert done.code == 2
    for secret in ("has a", "12345678", "correct horse", "too sht"):
        assert secret not in done.err
