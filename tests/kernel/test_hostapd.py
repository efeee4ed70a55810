"""The real hostapd without a radio (``driver=none``): it parses all, and its socket answers.

What a radio would do (country, channel, joining stations, keys on the air) is not tested here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.conftest import LanWorld, wait_until
from tripgate.core.hostapdconf import AccessPoint, text
from tripgate.core.networkcost import element
from tripgate.durable import replace_file
from tripgate.kernel import hostapd
from tripgate.kernel.children import Child
from tripgate.kernel.hostapd import HostapdError, ask, reload_keys, set_elements

PERSONS = {"maria": "marias own key", "tom": "another one!"}


def point(folder: Path, **change: Any) -> AccessPoint:
    told = {"interface": "lan0", "ssid": "Café 7", "country": "DE", "key": "correct horse"}
    places = {"control_dir": str(folder / "ctl"), "psk_file": str(folder / "psk")}
    return AccessPoint(**(told | places | change))


def without_a_radio(told: AccessPoint, folder: Path, absent: tuple[str, ...]) -> None:
    """The configuration as it is, for a driver that needs no hardware."""
    lines = text(told).replace("driver=nl80211", "driver=none").split("\n")
    kept = [line for line in lines if not line.startswith(absent)]
    replace_file(folder / "hostapd.conf", "\n".join(kept), 0o600)


@asynccontextmanager
async def running(folder: Path, told: AccessPoint, *absent: str) -> AsyncIterator[Path]:
    """hostapd runs; its control socket."""
    spec = hostapd.access_point(told, folder)
    without_a_radio(told, folder, absent)
    child = Child(spec, folder)
    await child.start()
    control = folder / "ctl/lan0"
    try:
        await wait_until(lambda: control.exists() or child.trouble)
        assert child.trouble is None, child.outlet.last
        await ask(control, "PING")  # the socket is there before the files are read
        yield control
    finally:
        await child.stop()


RADIO = ("country_code", "ieee80211", "hw_mode", "channel")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"security": "wpa3"},
        {"persons": PERSONS},
        {"key": None, "persons": PERSONS},
        {"security": "wpa3", "persons": PERSONS},
        {"channel": 36},
        {"elements": element(0, None, metered=True)},
        {"key": "~!\"#$%&'()*+,-./:;<=>?@[\\]^_`{}"},
    ],
)
async def test_hostapd_takes_every_form_of_the_configuration(
    lan: LanWorld, tmp_path: Path, change: dict[str, Any]
) -> None:
    async with running(tmp_path, point(tmp_path, **change)) as control:
        assert await ask(control, "PING") == "PONG"


async def test_hostapd_reads_name_and_keys_as_they_were_meant(
    lan: LanWorld, tmp_path: Path
) -> None:
    async with running(tmp_path, point(tmp_path, persons=PERSONS), *RADIO) as control:
        told = (await ask(control, "GET_CONFIG")).split("\n")
    assert "ssid=Caf\\xc3\\xa9 7" in told
    assert "key_mgmt=WPA-PSK SAE" in told


async def test_the_network_cost_changes_at_run_time(lan: LanWorld, tmp_path: Path) -> None:
    async with running(tmp_path, point(tmp_path), *RADIO) as control:
        await set_elements(control, element(800, 1000, metered=True))


async def test_keys_of_persons_change_at_run_time(lan: LanWorld, tmp_path: Path) -> None:
    async with running(tmp_path, point(tmp_path, persons=PERSONS), *RADIO) as control:
        await reload_keys(control)


async def test_keys_that_hostapd_cannot_read_are_an_error(lan: LanWorld, tmp_path: Path) -> None:
    async with running(tmp_path, point(tmp_path, persons=PERSONS), *RADIO) as control:
        (tmp_path / "psk").write_text("no key\n")
        with pytest.raises(HostapdError, match="refuses RELOAD_WPA_PSK"):
            await reload_keys(control)


async def test_elements_that_hostapd_refuses_are_an_error(lan: LanWorld, tmp_path: Path) -> None:
    async with running(tmp_path, point(tmp_path), *RADIO) as control:
        with pytest.raises(HostapdError, match="refuses SET"):
            await set_elements(control, "zz")


async def test_a_hostapd_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostapdError, match="is it running"):
        await ask(tmp_path / "none", "PING")


def test_files_with_keys_are_readable_by_nobody_else(tmp_path: Path) -> None:
    hostapd.access_point(point(tmp_path, persons=PERSONS), tmp_path)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("hostapd.conf", "psk")}
    assert modes == {"hostapd.conf": 0o600, "psk": 0o600}


def test_no_key_is_in_an_argument(tmp_path: Path) -> None:
    spec = hostapd.access_point(point(tmp_path, persons=PERSONS), tmp_path)
    assert not [word for word in spec.argv if "correct horse" in word]


def test_other_elements_are_no_reason_for_a_restart(tmp_path: Path) -> None:
    told = point(tmp_path)
    before = hostapd.access_point(told, tmp_path)
    after = hostapd.access_point(replace(told, elements=element(1, 1, metered=True)), tmp_path)
    assert after.fingerprint == before.fingerprint


def test_another_person_is_no_reason_for_a_restart(tmp_path: Path) -> None:
    before = hostapd.access_point(point(tmp_path, persons=PERSONS), tmp_path)
    after = hostapd.access_point(point(tmp_path, persons=PERSONS | {"ann": "anns key"}), tmp_path)
    assert after.fingerprint == before.fingerprint


def test_another_shared_key_is_a_reason_for_a_restart(tmp_path: Path) -> None:
    before = hostapd.access_point(point(tmp_path), tmp_path)
    after = hostapd.access_point(point(tmp_path, key="another horse"), tmp_path)
    assert after.fingerprint != before.fingerprint
