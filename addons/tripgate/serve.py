"""``tripgate up``: a gateway with mitmproxy's servers, the portal and the metrics around it.

Exit codes: 0 stopped as asked; 1 refused to start, with one line that says why.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable

from tripgate.announce import announce, live_table
from tripgate.clock import SystemClock
from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.ending import end_all
from tripgate.ledger.journal import JournalError
from tripgate.ledger.protocol import Fenced, LedgerDown, NewerState
from tripgate.measure import Measure, Uplink
from tripgate.metrics import Both, create_app
from tripgate.portalworld import first_claim, portal_sites
from tripgate.proxy import handler, runner
from tripgate.proxy.gate import IN_ALL
from tripgate.proxy.hooks import Hooks
from tripgate.proxy.relay.loop import RelayLoop
from tripgate.router import Router
from tripgate.sdnotify import notifying
from tripgate.settings import Settings, supervision
from tripgate.statefolder import StateError, StateFolder
from tripgate.web import AsgiApp, serve_web
from tripgate.wiring import Gateway

DESCRIPTORS = 3 * IN_ALL
SWITCH_S = 0.0005
"""How long a thread that computes may keep the loop from the interpreter, at most (Python's own
5 ms are the bar of a whole connection)."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ListenError(Exception):
    """An address cannot be listened on; names the option."""


REFUSALS = (ListenError, StateError, LedgerDown, Fenced, NewerState, JournalError)


def serve(settings: Settings) -> int:
    """Run the gateway to its end."""
    allow_descriptors()
    sys.setswitchinterval(SWITCH_S)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        with asyncio.Runner(loop_factory=RelayLoop) as loop:
            loop.run(_serve(settings))
    except asyncio.CancelledError:
        return 0
    except REFUSALS as error:
        print(f"tripgate: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"tripgate: {error}: run it as root (sudo ./deploy/up …)", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"tripgate: {error}", file=sys.stderr)
        return 1
    return 0


def allow_descriptors() -> None:
    """Two for each connection, as far as the machine lets us: root may raise the bound itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    if soft == infinite or soft >= DESCRIPTORS:
        return
    for bound in (hard if hard == infinite else max(hard, DESCRIPTORS), hard):
        wanted = DESCRIPTORS if bound == infinite else min(DESCRIPTORS, bound)
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, bound))
            return


async def _serve(settings: Settings) -> None:
    check_alone(StateFolder(settings.state))
    for option in ("listen", "socks", "portal", "metrics"):
        check_free(option, getattr(settings, option))
    gateway = Gateway(settings, SystemClock(settings.clock.trust))
    handler.install(gateway.gate)
    master = runner.make_master(Hooks(gateway.gate), modes(settings))
    _end_at_a_signal(gateway)
    try:
        async with notifying(supervision(), gateway.guarded):
            await gateway.start()
            keep_what_is_there()
            try:
                async with serve_web(sites(gateway)):
                    await announce(settings, first_claim(gateway))
                    async with live_table(gateway):
                        await master.run()
            finally:
                await gateway.stop()
    finally:
        await _leave(gateway)


async def _leave(gateway: Gateway) -> None:
    """What hangs does not keep the process: Python would wait for it without bound. Everything else
    has ended by now, and what hangs has been named."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if not await end_all(rest) or gateway.ending.left:
        logging.shutdown()
        os._exit(1)


def keep_what_is_there() -> None:
    """Modules, rules and the book stay for good: looking through them for garbage, again and again,
    stops the loop for a tenth of a second. Connections end as cycles and are found young."""
    gc.collect()
    gc.freeze()


def _end_at_a_signal(gateway: Gateway) -> None:
    """A signal ends a start that waits as it ends a gateway that runs. One that comes while that
    ends, by an earlier signal or by itself, changes nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    asked = False

    def end() -> None:
        nonlocal asked
        if not (asked or gateway.ending.begun):
            asked = True
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, end)


def sites(gateway: Gateway) -> list[tuple[Endpoint, AsgiApp]]:
    """The web servers' addresses and apps; ``off`` is none."""
    settings = gateway.settings
    router = gateway.router
    uplink = (lambda: _uplink(router)) if router else None
    measure = Measure(gateway.gate, gateway.clock, settings.mode, uplink, gateway.drains.totals)
    metrics: list[tuple[Endpoint, AsgiApp]] = []
    if settings.metrics:
        metrics.append((settings.metrics, create_app(measure.read)))
    identify = router.identify if router else None
    return [*metrics, *portal_sites(gateway, identify)]


def _uplink(router: Router) -> Uplink:
    """The interface's counts, for the metrics."""
    meter = router.meter
    counts = (meter.uplink, meter.gateway, meter.unattributed)
    return Uplink(*(Both(count.up, count.down) for count in counts))


def modes(settings: Settings) -> list[str]:
    """mitmproxy's mode specifications for the proxy addresses."""
    served = (("regular", settings.listen), ("socks5", settings.socks))
    return [f"{name}@{at}" for name, address in served if address for at in _places(address)]


def _places(address: Endpoint) -> Iterable[str]:
    if address.hosts == EVERY_ADDRESS:
        return [str(address.port)]
    return [f"{host}:{address.port}" for host in address.hosts]


def check_alone(folder: StateFolder) -> None:
    """Raises ``StateError`` where a gateway runs on the folder; its ports are taken, too."""
    if folder.is_held():
        with folder.locked():
            pass  # it was about to end


def check_free(option: str, address: Endpoint | None) -> None:
    """Raises :class:`ListenError` if somebody listens there already."""
    for host in address.hosts if address else ():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, address.port if address else 0))
        except OSError as error:
            if family == socket.AF_INET6 and address and address.hosts == EVERY_ADDRESS:
                continue  # a machine without IPv6
            reason = error.strerror or str(error)
            raise ListenError(
                f"--{option} {address}: {reason}: stop what listens there, or name another port"
            ) from error
