"""Messages to a real server: what it gets, what its answers mean, and where none is taken."""

import http.client
import json
import socket
import ssl
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.notify.receiver import Receiver, receiver
from tripgate.core.event import Event
from tripgate.core.outbox import LINES
from tripgate.notify import send
from tripgate.notify.address import Address, parse
from tripgate.notify.send import SendError, body, post

EVENTS = (Event("k", "cap-warning", "80 % of the day cap is used"), Event("", "ledger", "up"))
AT = 1_700_000_000


def to(server: Receiver, url: str) -> Address:
    """An address of the given kind, at this server."""
    return replace(parse(url), host="127.0.0.1", port=server.port, tls=False)


def test_a_webhook_gets_json() -> None:
    with receiver() as server:
        moved = post(parse(server.url), EVENTS, AT)
        ((path, headers, content),) = server.got
    assert path == "/hooks/SECRET"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(content) == {
        "title": "tripgate",
        "text": "80 % of the day cap is used\nup",
        "at": AT,
        "events": [
            {"kind": "cap-warning", "text": "80 % of the day cap is used"},
            {"kind": "ledger", "text": "up"},
        ],
    }
    assert moved.up > len(content)
    assert moved.down > 0


def test_ntfy_gets_text_a_title_and_the_token() -> None:
    with receiver() as server:
        post(to(server, "ntfys://tk_1@n.example/van"), EVENTS, AT)
        ((path, headers, content),) = server.got
    assert (path, content.decode()) == ("/van", "80 % of the day cap is used\nup")
    assert (headers["Title"], headers["Authorization"]) == ("tripgate", "Bearer tk_1")


def test_telegram_gets_the_chat_and_plain_text() -> None:
    with receiver() as server:
        post(to(server, "tgram://123456:AAbbCCddee/-5"), EVENTS, AT)
        ((path, _, content),) = server.got
    assert path == "/bot123456:AAbbCCddee/sendMessage"
    document = json.loads(content)
    assert document == {"chat_id": "-5", "text": "tripgate: 80 % of the day cap is used\nup"}


def test_many_events_are_one_bounded_message() -> None:
    many = tuple(Event(str(n), "drain", f"event {n} " + 400 * "x") for n in range(LINES + 9))
    content, _ = body(parse("ntfy://van"), many, AT)
    assert len(content) <= send.TEXT_MOST
    few = tuple(replace(event, text=f"event {n}") for n, event in enumerate(many))
    content, _ = body(parse("ntfy://van"), few, AT)
    assert content.decode().endswith("and 9 more: tripgate status")


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (404, True), (301, True), (429, False), (503, False)]
)
def test_a_server_that_refuses_is_not_asked_again_and_a_busy_one_is(
    status: int, final: bool
) -> None:
    with receiver(status) as server, pytest.raises(SendError) as error:
        post(parse(server.url), EVENTS, AT)
    assert error.value.final is final
    assert error.value.traffic.up > 0
    assert "SECRET" not in str(error.value)


def test_a_redirect_is_not_followed() -> None:
    with receiver(307) as server:
        with pytest.raises(SendError, match="leads elsewhere"):
            post(parse(server.url), EVENTS, AT)
        assert len(server.got) == 1


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[Any]:
    """Every name has these addresses; returns what was connected to."""
    tried: list[Any] = []

    def found(host: str, port: int, **_: Any) -> list[Any]:
        kinds = [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in addresses]
        return [(family, socket.SOCK_STREAM, 6, "", (one, port)) for family, one in kinds]

    def first(allowed: list[Any]) -> socket.socket:
        tried.extend(one[4][0] for one in allowed)
        raise OSError(0, "not tried")

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(send, "_first", first)
    return tried


@pytest.mark.parametrize(
    "private",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0",
     "::ffff:10.0.0.1", "0.0.0.0", "100.64.0.1", "198.18.0.1", "240.0.0.1", "fec0::1"],
)  # fmt: skip
def test_a_name_does_not_lead_to_a_private_address(
    monkeypatch: pytest.MonkeyPatch, private: str
) -> None:
    tried = resolves_to(monkeypatch, private)
    with pytest.raises(SendError, match="is a private address: write the address itself") as error:
        post(parse("https://rebound.example/SECRET"), EVENTS, AT)
    assert error.value.final
    assert tried == []


def test_a_name_that_cannot_be_asked_for_is_an_error_like_others() -> None:
    with pytest.raises(SendError):
        post(parse(f"https://{'a' * 64}.example/"), EVENTS, AT)


def test_of_a_names_addresses_only_the_public_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = resolves_to(monkeypatch, "10.0.0.1", "9.9.9.9", "::1")
    with pytest.raises(SendError):
        post(parse("https://mixed.example/"), EVENTS, AT)
    assert tried == ["9.9.9.9"]


def test_localhost_by_name_is_refused_and_by_address_is_meant() -> None:
    with receiver() as server:
        with pytest.raises(SendError, match="private"):
            post(replace(parse(server.url), host="localhost"), EVENTS, AT)
        post(parse(server.url), EVENTS, AT)
        assert len(server.got) == 1


def test_nobody_there_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SendError) as error:
        post(parse(f"http://127.0.0.1:{port}/SECRET"), EVENTS, AT)
    assert not error.value.final
    assert "SECRET" not in str(error.value)


def silent(talk: bytes) -> tuple[socket.socket, threading.Thread]:
    """A server that says ``talk`` to the first who comes, and then nothing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                while True:
                    connection.sendall(talk)
                    if not talk or threading.Event().wait(0.01):
                        break
                connection.recv(1 << 20)
                threading.Event().wait(0.5)
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server, thread


def test_a_server_that_drips_for_ever_is_left_at_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send, "LIMIT_S", 0.3)
    server, thread = silent(b"H")
    with server, pytest.raises(SendError):
        post(parse(f"http://127.0.0.1:{server.getsockname()[1]}/"), EVENTS, AT)
    thread.join(10)
    assert not thread.is_alive()


def test_a_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "CONNECT_S", 0.1)
    server, _ = silent(b"")
    with server, pytest.raises(SendError, match="no answer in time"):
        post(parse(f"http://127.0.0.1:{server.getsockname()[1]}/"), EVENTS, AT)


def test_what_is_not_http_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-x\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SendError) as error:
            post(parse(f"http://127.0.0.1:{server.getsockname()[1]}/SECRET"), EVENTS, AT)
    assert "SSH" not in str(error.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _take_request(connection: ssl.SSLSocket) -> None:
    """All of it: what is left unread at the end resets the connection, answer and all."""
    with connection.makefile("rb") as reading:
        head = http.client.parse_headers(reading) if reading.readline() else {}
        reading.read(int(head.get("Content-Length", "0")))


def tls_server(certificate: Path) -> tuple[socket.socket, threading.Thread]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                _take_request(secure)
                secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server, thread


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    server, _ = tls_server(certificate)
    with server, pytest.raises(SendError, match="certificate is not valid"):
        post(parse(f"https://127.0.0.1:{server.getsockname()[1]}/"), EVENTS, AT)


def test_over_tls_it_arrives_and_its_records_are_counted(certificate: Path) -> None:
    server, _ = tls_server(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with server:
        address = parse(f"https://127.0.0.1:{server.getsockname()[1]}/")
        moved = post(address, EVENTS, AT, trusting)
    assert moved.up > 500 and moved.down > 500
