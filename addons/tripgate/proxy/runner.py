"""mitmproxy without what a gateway does not need: no certificates, no flow list, no dumper.

An addon that a user wants beside ours runs in a stock mitmproxy: ``mitmdump -s addons/gateway.py``.
"""

import logging
from collections.abc import Sequence

from mitmproxy import options
from mitmproxy.addons import next_layer, proxyserver
from mitmproxy.master import Master

from tripgate.proxy.hooks import Hooks, set_options


class ListenError(Exception):
    """A proxy address could not be bound; the text is for a person."""


def make_master(hooks: Hooks, modes: Sequence[str]) -> Master:
    """A master that serves ``modes`` (mitmproxy's mode specifications)."""
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    master = Master(options.Options())
    master.addons.add(proxyserver.Proxyserver(), hooks, next_layer.NextLayer())
    master.options.update(mode=list(modes))
    set_options(master.options)
    return master
