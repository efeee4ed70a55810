"""A web server for the lab: ``GET /N`` answers with N bytes; on every address, port 80."""

import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = bytes(65536)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match = re.fullmatch(r"/(\d{1,10})", self.path)
        left = int(match[1]) if match else 0
        self.send_response(200)
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left > 0:
            left -= self.wfile.write(CHUNK[: min(left, len(CHUNK))])

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


if __name__ == "__main__":
    Server(("::", 80), Handler).serve_forever()
