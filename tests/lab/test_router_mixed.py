"""Everything at once, from five devices: each byte has its owner, as the carrier counts."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, needs_lab, server4, server6
from tests.lab.product import product, web
from tests.lab.traffic import udp_echo
from tests.lab.truth import Bytes

LOAD = Path(__file__).with_name("mixload.py")
DEVICES = range(1, 6)
PORTS = (80, 81, 443, 8081, 9999)
PERMILLE = 1000
MET = Bytes(84, 84)
"""The ping that the device was admitted with went elsewhere."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs_lab()
    with Lab(devices=len(DEVICES)) as made:
        yield made


@pytest.mark.parametrize("seconds", [15, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_every_byte_of_a_mixed_load_has_its_owner(lab: Lab, tmp_path: Path, seconds: int) -> None:
    web(lab, *PORTS)
    with contextlib.ExitStack() as echoes, product(lab, tmp_path) as gateway:
        for number in DEVICES:
            for address in (server4(number), server6(number)):
                echoes.enter_context(udp_echo(lab, address, 7))
            echoes.enter_context(udp_echo(lab, server4(number), 443))
        gateway.admit(*DEVICES)
        before = lab.wire()
        _run(lab, seconds)
        used = gateway.rest()
        wire = lab.wire() - before
        for number in DEVICES:
            truth = lab.truth(server4(number)) + lab.truth(server6(number)) + MET
            assert truth.total > 1_000_000
            off = abs(used[f"phone-{number}"].total - truth.total)
            assert off * PERMILLE <= truth.total, (number, used, truth)
        nobodys = used.get("(unattributed)", Bytes()).total
        assert nobodys * PERMILLE <= wire.total, used


def _run(lab: Lab, seconds: int) -> None:
    jobs: list[subprocess.Popen[str]] = []
    for number in DEVICES:
        words = [server4(number), server6(number), "10.77.0.1", str(seconds), *map(str, PORTS)]
        argv = [sys.executable, str(LOAD), *words]
        jobs.append(lab.spawn(lab.device(number), argv, stdout=subprocess.PIPE))
    for job in jobs:
        said, _ = job.communicate(timeout=seconds + 60)
        done = dict(part.split("=") for part in said.split())
        assert all(int(done.get(kind, 0)) for kind in ("tcp", "udp", "vpn", "ping")), said
        assert done.get("quic", "0") == "0"
