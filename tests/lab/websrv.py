"""A web server for the lab: ``GET /N`` answers with N bytes, ``POST`` takes what it gets.

    python websrv.py PORT…

It listens on every address, both families.
"""

import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = bytes(65536)
PATH = re.compile(r"/(\d{1,10})")


class Handler(BaseHTTPRequestHandler):
    """See above."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match = PATH.fullmatch(self.path)
        left = int(match[1]) if match else 0
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left > 0:
            left -= self.wfile.write(CHUNK[: min(left, len(CHUNK))])

    def do_POST(self) -> None:
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (got := self.rfile.read(min(left, len(CHUNK)))):
            left -= len(got)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # a flow that the gateway cut

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class Server(ThreadingHTTPServer):
    """Both families on one socket."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main() -> None:
    """Serve on all ports that are named."""
    servers = [Server(("::", int(port)), Handler) for port in sys.argv[1:]]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
