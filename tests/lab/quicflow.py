"""A QUIC server and client for the lab (aioquic), with a protocol of their own: ``lab``.

    python quicflow.py serve CERTIFICATE KEY ADDRESS
    python quicflow.py fetch ADDRESS BYTES SECONDS

The client asks for BYTES on a stream and prints how many came, or why none did.
"""

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived

PORT = 443
ALPN = ["lab"]


class Server(QuicConnectionProtocol):
    """Sends as many bytes as a stream asks for."""

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived) and event.end_stream:
            self._quic.send_stream_data(event.stream_id, bytes(int(event.data)), end_stream=True)
            self.transmit()


async def serve_for_ever(certificate: str, key: str, address: str) -> None:
    told = QuicConfiguration(is_client=False, alpn_protocols=ALPN)
    told.load_cert_chain(certificate, key)
    await serve(address, PORT, configuration=told, create_protocol=Server)
    await asyncio.Event().wait()


async def fetch(address: str, volume: str, seconds: str) -> None:
    told = QuicConfiguration(alpn_protocols=ALPN, verify_mode=ssl.CERT_NONE)
    async with (
        asyncio.timeout(float(seconds)),
        connect(address, PORT, configuration=told) as made,
    ):
        reader, writer = await made.create_stream()
        writer.write(volume.encode())
        writer.write_eof()
        print(len(await reader.read()))


def main() -> None:
    """See above."""
    kind, *words = sys.argv[1:]
    try:
        asyncio.run({"serve": serve_for_ever, "fetch": fetch}[kind](*words))
    except (OSError, TimeoutError) as error:
        print(type(error).__name__)


if __name__ == "__main__":
    main()
