"""The head of a refused HTTP request, as the pages want it."""

from dataclasses import dataclass

import h11

_MOST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """Method and headers; a head that is none has neither."""

    method: str
    headers: dict[str, str]


def parse(head: bytes) -> Request:
    """What of ``head`` is a request; never fails."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST)
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError:
        return Request("GET", {})
    if not isinstance(event, h11.Request):
        return Request("GET", {})
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("ascii"), _AnyCase(headers))


class _AnyCase(dict[str, str]):
    """h11 gives lower-case names; whoever asks may write them as usual."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # always text
        return super().get(name.lower(), default)
