"""``deploy/demo``: a family of five devices, a gateway in router mode, and the day goes by.

    python -m demo [--minutes N] [--seconds N] [--prefix NAME]

Everything lives in network namespaces and in one temporary folder; both are gone at the end, also
after Ctrl-C, SIGTERM or a failure. Exit codes: 0 ended as asked; 1 with a line that says why.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from demo import outlook, traffic
from demo.family import DAY, DAY_H, DEVICES, FIRST_HOUR
from demo.house import GRAFANA, METRICS, PROMETHEUS, DemoError, House
from demo.screen import Screen
from tests.lab.lab import LAN4, Lab, why_not

PORTALS = 8081
SHOW_S = 2.0


def main() -> int:
    """Run the demo to its end."""
    parser = argparse.ArgumentParser("deploy/demo", description="A travel day in a few minutes.")
    parser.add_argument("--minutes", type=float, default=10, help="length of a day; default 10")
    parser.add_argument("--seconds", type=float, help="end after that long; default: on Ctrl-C")
    parser.add_argument("--prefix", default="tgd", help="how names of its namespaces begin")
    options = parser.parse_args()
    if reason := why_not():
        print(f"demo: {reason}: sudo ./deploy/demo", file=sys.stderr)
        return 1
    try:
        asyncio.run(_to_the_end(options.minutes * 60, options.seconds, options.prefix))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    print("demo: ended, nothing is left", flush=True)
    return 0


async def _to_the_end(day_s: float, seconds: float | None, prefix: str) -> None:
    """Until ``seconds`` are over, or a signal."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    running = asyncio.ensure_future(_run(day_s, prefix))
    waiting = asyncio.ensure_future(ended.wait())
    await asyncio.wait((running, waiting), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not running.done():
        print("demo: ending", flush=True)
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _run(day_s: float, prefix: str) -> None:
    print("demo: building a home, a carrier and a server in network namespaces", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="tripgate-demo-") as folder,
        Lab(devices=len(DEVICES), prefix=prefix) as lab,
    ):
        house = House(lab, Path(folder))
        context = traffic.certificate(Path(folder))
        began = time.monotonic()

        def hour() -> float:
            return (FIRST_HOUR + (time.monotonic() - began) / day_s * DAY_H) % DAY_H

        async with AsyncExitStack() as stack:
            await stack.enter_async_context(traffic.internet(lab, context))
            print("demo: starting the gateway: tripgate up --mode router", flush=True)
            await stack.enter_async_context(house.gateway())
            _say_hello(lab)
            await house.move_in()
            watched = await stack.enter_async_context(house.prometheus())
            drawn = watched and await stack.enter_async_context(house.grafana())
            places = await _open_doors(stack, lab, watched=watched, drawn=drawn)
            began = time.monotonic()
            await stack.enter_async_context(_living(lab, day_s, hour))
            screen = stack.enter_context(Screen(places, house.state))
            while True:
                house.check()
                await screen.show(house, hour())
                await asyncio.sleep(SHOW_S)


def _say_hello(lab: Lab) -> None:
    """Every device sends a packet, as one that joins does: the gateway knows it then."""
    for number in range(1, lab.devices + 1):
        argv = ["ping", "-q", "-c", "1", "-W", "1", f"{LAN4}.1"]
        lab.run(lab.device(number), argv, check=False)


async def _open_doors(
    stack: AsyncExitStack, lab: Lab, *, watched: bool, drawn: bool
) -> list[tuple[str, str]]:
    """Addresses on this machine's localhost, and what is there."""
    places = []
    for number, one in enumerate(DEVICES, 1):
        opened = outlook.door(lab, lab.device(number), f"{LAN4}.1", 80, PORTALS + number - 1)
        port = await stack.enter_async_context(opened)
        places.append((f"http://localhost:{port}/", f"portal, as {one.name} sees it"))
    inside = [(METRICS, "/metrics", "the gateway's metrics")]
    if watched:
        inside.append((PROMETHEUS, "/graph?g0.expr=tripgate_traffic_bytes_total", "Prometheus"))
    if drawn:
        inside.append((GRAFANA, "/dashboards", "Grafana"))
    for wanted, path, what in inside:
        opened = outlook.door(lab, lab.gateway, "127.0.0.1", wanted, wanted)
        port = await stack.enter_async_context(opened)
        places.append((f"http://localhost:{port}{path}", what))
    return places


@asynccontextmanager
async def _living(lab: Lab, day_s: float, hour: traffic.Hour) -> AsyncIterator[None]:
    """The family does what it does."""
    numbers = {one.name: number for number, one in enumerate(DEVICES, 1)}
    tasks = [
        asyncio.ensure_future(traffic.act(lab, numbers[one.device], one, day_s, hour))
        for one in DAY
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
