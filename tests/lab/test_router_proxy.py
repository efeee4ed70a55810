"""An explicit proxy at a running router, when asked for: it serves devices, by their hardware."""

from pathlib import Path

import pytest

from tests.lab.lab import Lab, server4, server6
from tests.lab.product import curl, product, web

PROXY = ("-x", "http://10.77.0.1:8080")
MET = 2 * 84
"""The ping that the device was admitted with went elsewhere."""


@pytest.mark.parametrize("server", [server4(1), f"[{server6(1)}]"], ids=["v4", "v6"])
def test_what_the_proxy_fetches_is_its_devices_to_the_byte(
    lab: Lab, tmp_path: Path, server: str
) -> None:
    web(lab)
    with product(lab, tmp_path, "--listen", "10.77.0.1:8080") as gateway:
        gateway.admit(1)
        assert curl(lab, 1, f"http://{server}/500000", *PROXY).stdout == "200 500000"
        assert gateway.rest()["phone-1"].total == lab.truth(server.strip("[]")).total + MET


def test_a_device_that_waits_is_turned_away_by_the_proxy_too(lab: Lab, tmp_path: Path) -> None:
    web(lab)
    with product(lab, tmp_path, "--listen", "10.77.0.1:8080") as gateway:
        gateway.meet(1)
        assert curl(lab, 1, f"http://{server4(1)}/1000", *PROXY).stdout.startswith("511")
        assert lab.truth(server4(1)).total == 0
