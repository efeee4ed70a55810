"""The router mode in a stock mitmproxy: an addon sees what it asks for, the device pays for it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, server4, server6, wait_until
from tests.lab.product import START_S, Product, curl, end_all, web
from tests.running import SCRIPT, environment

MET = 2 * 84
"""The ping that the device was admitted with went elsewhere."""

ADDON = """
def response(flow):
    with open({seen!r}, "a") as seen:
        print(flow.request.host, flow.request.path, len(flow.response.content), file=seen)
"""


class InMitmdump(Product):
    """``mitmdump -s addons/gateway.py -s addon.py``, set by variables."""

    def spawn(self) -> None:
        folder = self.state.parent
        addon = folder / "addon.py"
        addon.write_text(ADDON.format(seen=str(folder / "seen")))
        command = [str(Path(sys.executable).parent / "mitmdump"), "--no-server"]
        command += ["--set", f"confdir={folder / 'ca'}", "--set", "termlog_verbosity=warn"]
        command += ["--set", "flow_detail=0", "-s", str(SCRIPT), "-s", str(addon)]
        env = environment(
            PYTHONUNBUFFERED="1", TRIPGATE_MODE="router", TRIPGATE_LAN="lan0",
            TRIPGATE_UPLINK="wan0", TRIPGATE_STATE=str(self.state),
        )  # fmt: skip
        with self.log.open("a") as log:
            self.process = self.lab.spawn(
                self.lab.gateway, command, stdout=log, stderr=log, env=env
            )

    def start(self) -> None:
        self.spawn()
        wait_until(lambda: self.cli("status").returncode == 0, "a start", START_S)


@pytest.fixture
def gateway(lab: Lab, tmp_path: Path) -> Iterator[InMitmdump]:
    web(lab)
    made = InMitmdump(lab, tmp_path / "state")
    try:
        made.start()
        made.admit(1)
        yield made
        assert made.stop() == 0
    finally:
        if made.process and made.process.poll() is None:
            made.kill()
        end_all(lab, lab.gateway)


@pytest.mark.parametrize("server", [server4(1), server6(1)], ids=["v4", "v6"])
def test_an_addon_sees_a_devices_http_which_is_charged_to_the_byte(
    lab: Lab, gateway: InMitmdump, server: str
) -> None:
    url = f"http://[{server}]/500000" if ":" in server else f"http://{server}/500000"
    assert curl(lab, 1, url).stdout == "200 500000", gateway.said()
    assert (gateway.state.parent / "seen").read_text() == f"{server} /500000 500000\n"
    assert gateway.rest()["phone-1"].total == lab.truth(server).total + MET


def test_what_an_addon_sees_is_cut_at_the_cap(lab: Lab, gateway: InMitmdump) -> None:
    gateway.run("cap", "set", "phone-1", "2MB/day")
    got = curl(lab, 1, f"http://{server4(1)}/20000000")
    assert got.returncode != 0 and not got.stdout.endswith(" 20000000")
    assert lab.truth(server4(1)).total < 2_000_000 + 64 * 1024
    again = curl(lab, 1, f"http://{server4(1)}/1000")
    assert again.stdout.startswith("511"), gateway.said()
