"""Names of addresses as a device asked for them: what a flow without SNI is called.

Rules
1. The input is dnsmasq's log (``log-queries=extra``): a serial number ties answers to the question,
   so an address gets the name that was asked for, not the one behind its CNAMEs.
2. A name holds for the device that asked, for ``HOLD_S`` after the answer (dnsmasq does not log
   the TTL), and is a hint: it names a flow, it never allows one.
3. Bounded: ``QUESTIONS_MOST`` open questions, ``NAMES_MOST`` answers a device, ``CLIENTS_MOST``
   devices; the oldest goes.
4. A line of another form tells nothing.

Times are seconds of one monotonic clock.
"""

import ipaddress
import re
from collections import OrderedDict

from tripgate.core.address import IPAddress
from tripgate.core.names import clean_host

HOLD_S = 3600.0
QUESTIONS_MOST = 512
NAMES_MOST = 256
CLIENTS_MOST = 256
LINE_MOST = 1024

_LINE = re.compile(
    r"dnsmasq(?:\[[0-9]{1,7}\])?: (?P<serial>[0-9]{1,10}) (?P<client>[0-9a-f.:]{2,39})/[0-9]{1,5} "
    r"(?P<what>query\[[A-Z0-9]{1,10}\]|reply|cached|cached-stale|config) (?P<name>\S{1,254}) "
    r"(?P<link>from|is) (?P<value>\S{1,254})"
)


class DnsNames:
    """What each client asked for, by the addresses it was given."""

    def __init__(self) -> None:
        self._questions: OrderedDict[str, tuple[IPAddress, str]] = OrderedDict()
        self._names: OrderedDict[IPAddress, OrderedDict[IPAddress, tuple[str, float]]] = (
            OrderedDict()
        )

    def name(self, client: IPAddress, address: IPAddress, now: float) -> str | None:
        """The name under which ``client`` got to know ``address``."""
        names = self._names.get(client)
        found = names.get(address) if names else None
        return found[0] if found is not None and now - found[1] <= HOLD_S else None

    def forget(self, client: IPAddress) -> None:
        """``client``'s address belongs to another device now."""
        self._names.pop(client, None)
        for serial in [known for known, (who, _) in self._questions.items() if who == client]:
            del self._questions[serial]

    def line(self, text: str, now: float) -> None:
        """Learn from one line of the log."""
        match = _LINE.fullmatch(text.rstrip("\n")) if len(text) <= LINE_MOST else None
        client = _address(match["client"]) if match else None
        if match is None or client is None:
            return
        if match["what"].startswith("query["):
            self._ask(match["serial"], client, clean_host(match["name"]))
        else:
            self._answer(match["serial"], client, _address(match["value"]), now)

    def _ask(self, serial: str, client: IPAddress, name: str | None) -> None:
        self._questions.pop(serial, None)
        if name is None:
            return
        self._questions[serial] = client, name
        if len(self._questions) > QUESTIONS_MOST:
            self._questions.popitem(last=False)

    def _answer(
        self, serial: str, client: IPAddress, address: IPAddress | None, now: float
    ) -> None:
        asked = self._questions.get(serial)
        if address is None or asked is None or asked[0] != client:
            return
        names = self._names.pop(client, None) or OrderedDict()
        self._names[client] = names
        names.pop(address, None)
        names[address] = asked[1], now
        if len(names) > NAMES_MOST:
            names.popitem(last=False)
        if len(self._names) > CLIENTS_MOST:
            self._names.popitem(last=False)


def _address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
