"""The guest pool at a running gateway: unknown devices share one cap, and need no approval."""

from pathlib import Path

from tests.lab.lab import Lab, server4, wait_until
from tests.lab.product import curl, product, web

POOL = 3_000_000
PAST_MOST = 262_144
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
        assert curl(lab, 1, f"http://{server4(1)}/1000000").stdout == "200 1000000"
        for number in (1, 2):
            assert curl(lab, number, f"http://{server4(number)}/9000000").returncode != 0
        wait_until(lambda: gateway.json("cap", "list")[0]["reached"], "the pool is empty")
        wait_until(lambda: not gateway.reaches(1, server4(1)), "nobody gets through")
        used = gateway.rest()
        assert used["phone-1"].total + used["phone-2"].total <= POOL + PAST_MOST
