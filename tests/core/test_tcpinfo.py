"""The kernel's counts of a socket, from its own structure."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from tripgate.core import tcpinfo


def test_a_real_socket_is_read_to_the_byte() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    with server, client, peer:
        client.sendall(b"x" * 1000)
        peer.sendall(b"y" * 300)
        peer.recv(1000, socket.MSG_WAITALL)
        client.recv(300, socket.MSG_WAITALL)
        raw = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    info = tcpinfo.parse(raw)
    assert (info.bytes_sent, info.bytes_received, info.bytes_retrans) == (1000, 300, 0)


def test_fields_lie_where_linux_puts_them() -> None:
    raw = bytearray(tcpinfo.SIZE)
    raw[0] = tcpinfo.CLOSE_WAIT
    struct.pack_into("=QQIII", raw, 120, 1, 2, 3, 4, 5)
    struct.pack_into("=QQ", raw, 200, 6, 7)
    assert tcpinfo.parse(bytes(raw)) == tcpinfo.TcpInfo(tcpinfo.CLOSE_WAIT, 1, 2, 3, 4, 5, 6, 7)


def test_what_an_older_kernel_leaves_out_is_zero() -> None:
    assert tcpinfo.parse(bytes([1]) + bytes(191)).bytes_sent == 0


@given(st.binary(max_size=400))
def test_any_length_is_read(raw: bytes) -> None:
    tcpinfo.parse(raw)
