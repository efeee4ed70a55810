"""systemd's own tools on the units that ``router apply`` and the Pi's installer write."""

import re
import shutil
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from tripgate.core.dnsmasqconf import Lan, Resolver
from tripgate.core.hostapdconf import AccessPoint
from tripgate.core.systemfiles import GATEWAY_UNIT, Router, files

ROOT = Path(__file__).parents[2]
EXPOSURE_MOST = 3.0
POINT = AccessPoint("wlan0", "Van", "DE", "/run/h", "/etc/tripgate/hostapd.psk", key="1234567890")
ROUTER = Router(
    ("/bin/true",),
    "/var/lib/tripgate",
    Resolver(Lan("wlan0", IPv4Interface("10.77.0.1/24")), "/var/lib/tripgate/leases"),
    5354,
    point=POINT,
)
UNITS = {file.path: file.text for file in files(ROUTER) if file.unit}
pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *words, "--no-pager"], capture_output=True, text=True, check=False
    )


def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    for path, text in UNITS.items():
        # The programs need not be installed here.
        there = re.sub(r"^(ExecStart(?:Pre)?=-?)\S+", r"\1/bin/true", text, flags=re.M)
        (tmp_path / Path(path).name).write_text(there)
    unit = ROOT / "deploy/pi/tripgate-prometheus.service"
    (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/prometheus", "/bin/true"))
    done = analyze("verify", "--man=no", *(str(one) for one in tmp_path.iterdir()))
    own = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert own == []


@pytest.mark.parametrize("name", ["tripgate.service", "tripgate-prometheus.service"])
def test_a_unit_is_exposed_to_little(name: str, tmp_path: Path) -> None:
    text = {
        "tripgate.service": UNITS[GATEWAY_UNIT],
        "tripgate-prometheus.service": (ROOT / "deploy/pi/tripgate-prometheus.service").read_text(),
    }
    (tmp_path / name).write_text(text[name])
    said = analyze("security", "--offline=true", str(tmp_path / name)).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert exposure, said
    assert float(exposure[1]) <= EXPOSURE_MOST, said
