"""The guest pool at a running gateway: unknown devices share one cap, and need no approval."""

from pathlib import Path

from tests.lab.lab import Lab, server4, wait_until
from tests.lab.product import curl, product, web

POOL = 3_000_000
PAST_MOST = 262_144
FIRST = 1_000_000
SIDE_BY_SIDE = 100_000
"""Bytes that each got: who came first alone would have left nothing."""
SETTINGS = f"""
[network]
guest_pool = "{POOL}B"
"""


def test_unknown_devices_share_the_pool_and_no_more(lab: Lab, tmp_path: Path) -> None:
    web(lab)
    lab.rate(lab.server, "eth0", "100mbit")
    with product(lab, tmp_path, settings=SETTINGS) as gateway:
        gateway.meet(1, 2)
        for number in (1, 2):
            wait_until(lambda n=number: gateway.reaches(n), f"guest {number} gets through")  # type: ignore[misc]
        assert curl(lab, 1, f"http://{server4(1)}/{FIRST}").stdout == f"200 {FIRST}"
        _at_once(lab, 1, 2)
        wait_until(lambda: gateway.json("cap", "list")[0]["reached"], "the pool is empty")
        wait_until(lambda: not gateway.reaches(1, server4(1)), "nobody gets through")
        used = gateway.rest()
        assert used["phone-1"].total + used["phone-2"].total <= POOL + PAST_MOST
        assert min(used["phone-1"].total - FIRST, used["phone-2"].total) > SIDE_BY_SIDE


def _at_once(lab: Lab, *numbers: int) -> None:
    """Each downloads more than the pool has left, all at the same time; all are cut."""
    get = [
        ["curl", "-sgo", "/dev/null", "-m", "30", f"http://{server4(n)}/9000000"] for n in numbers
    ]
    downloads = [lab.spawn(lab.device(n), argv) for n, argv in zip(numbers, get, strict=True)]
    assert all(one.wait(40) != 0 for one in downloads)
