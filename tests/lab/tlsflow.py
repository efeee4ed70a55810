"""TLS for the lab: a server that never ends, and a client that tells how much it has got.

    python tlsflow.py serve CERTIFICATE PORT [BYTES_PER_SECOND]
    python tlsflow.py fetch NAME ADDRESS PORT SECONDS

``fetch`` asks for NAME (SNI) at ADDRESS, prints ``open`` once it has a byte and, after SECONDS, how
many bytes have come; it exits with 1 as soon as the connection is refused or cut.
"""

import socket
import ssl
import sys
import threading
import time

CHUNK = bytes(16_384)


def serve(certificate: str, port: str, speed: str = "0") -> None:
    """As fast as it goes, or about ``speed`` bytes a second."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=_stream, args=(context, sock, int(speed)), daemon=True).start()


def _stream(context: ssl.SSLContext, sock: socket.socket, speed: int) -> None:
    try:
        with context.wrap_socket(sock, server_side=True) as tls:
            while True:
                tls.sendall(CHUNK[: speed // 20] if speed else CHUNK)
                if speed:
                    time.sleep(0.05)
    except OSError:
        pass  # the client is gone, or was cut


def fetch(name: str, address: str, port: str, seconds: str) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    got = 0
    try:
        with socket.create_connection((address, int(port)), 20) as sock:
            tls = context.wrap_socket(sock, server_hostname=name)
            got = len(tls.recv(1))
            print("open", flush=True)
            until = time.monotonic() + float(seconds)
            while (left := until - time.monotonic()) > 0:
                tls.settimeout(left)
                data = tls.recv(65_536)
                if not data:
                    return 1
                got += len(data)
    except TimeoutError:
        pass
    except OSError as error:
        print(error, flush=True)
        return 1
    print(got, flush=True)
    return 0 if got else 1


if __name__ == "__main__":
    sys.exit({"serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:]))
