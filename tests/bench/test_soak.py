"""A soak of the relay: ten thousand connections at once, all of which still work.

Each takes two descriptors of the gateway: a machine that gives a process too few for that has as
many connections as it has room for, and refuses what is beyond (``allow_descriptors``).
"""

import json
import resource
import sys

import pytest

from tests.bench import world
from tests.bench.figures import FILES, bench_lab
from tests.bench.world import HOLD, LOAD, TLS, load, start_load
from tests.lab.lab import needs_lab, server4

DEVICES, OF_EACH, OTHERS = 10, 1000, 500
MOST_KIB = 12
"""Resident memory for each of them: the contract's bar."""


def of_each() -> int:
    """Connections of one device, as far as the machine's descriptors go."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return OF_EACH if hard < 0 else min(OF_EACH, (hard - OTHERS) // 2 // DEVICES)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_connections_stay_open_and_a_new_one_is_served() -> None:
    needs_lab()
    each = of_each()
    with bench_lab(DEVICES) as (lab, folder), world.tripgate(lab, folder) as gateway:
        lab.spawn(lab.server, [sys.executable, str(LOAD), "hold", str(HOLD)])
        lab.wait_tcp(lab.server, HOLD)
        gateway.approve(*range(1, DEVICES + 1))
        before, held = gateway.resident(), []
        for device in range(1, DEVICES + 1):
            held.append(start_load(lab, device, "idle", server4(device), str(HOLD), str(each)))
        for process in held:
            assert process.stdout and json.loads(process.stdout.readline()) == {"open": each}
        grown = (gateway.resident() - before) / 1024 / (DEVICES * each)
        assert grown < MOST_KIB
        got = load(lab, 1, "download", server4(1), str(TLS), "1m", "4")
        assert got["bytes"] > 4 * FILES["1m"]
        assert gateway.json("status")["flows"] == DEVICES * each
