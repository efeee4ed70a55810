"""URLs of channels: what they mean, what is shown of them, and what an error repeats."""

import base64

import pytest

from tripgate.notify.address import Address, AddressError, parse

BASIC = "Basic " + base64.b64encode(b"u:p w").decode()


@pytest.mark.parametrize(
    ("url", "kind", "place", "tls", "path", "auth"),
    [
        ("https://h.example/a/SECRET?t=1", "webhook", ("h.example", 443), True,
         "/a/SECRET?t=1", None),
        ("http://192.168.1.5:8123/x", "webhook", ("192.168.1.5", 8123), False, "/x", None),
        ("http://[fd00::5]:81", "webhook", ("fd00::5", 81), False, "/", None),
        ("https://u:p%20w@h.example/", "webhook", ("h.example", 443), True, "/", BASIC),
        ("https://ntfy.sh/topic", "ntfy", ("ntfy.sh", 443), True, "/topic", None),
        ("ntfy://topic-7", "ntfy", ("ntfy.sh", 443), True, "/topic-7", None),
        ("ntfy://10.0.0.9:80/topic", "ntfy", ("10.0.0.9", 80), False, "/topic", None),
        ("ntfys://tk_1@n.example:8443/topic", "ntfy", ("n.example", 8443), True, "/topic",
         "Bearer tk_1"),
    ],
)  # fmt: skip
def test_a_url_says_where_and_how(
    url: str, kind: str, place: tuple[str, int], tls: bool, path: str, auth: str | None
) -> None:
    found = parse(url)
    assert (found.kind, (found.host, found.port), found.tls) == (kind, place, tls)
    assert (found.path, found.auth) == (path, auth)


def test_telegram_gets_the_token_in_its_path_and_the_chat_beside_it() -> None:
    found = parse("tgram://123456:AAbbCC_dd-ee/-100200")
    assert (found.kind, found.host, found.tls) == ("telegram", "api.telegram.org", True)
    assert (found.path, found.chat) == ("/bot123456:AAbbCC_dd-ee/sendMessage", "-100200")


SECRET = "SECRETSECRET"
SECRETS = (
    f"https://h.example/hooks/{SECRET}?token={SECRET}#{SECRET}",
    f"https://{SECRET}:{SECRET}@h.example/x",
    f"https://{SECRET}@h.example:8443/x",
    f"https://ntfy.sh/{SECRET}",
    f"ntfy://{SECRET}",
    f"ntfys://{SECRET}@n.example/{SECRET}",
    f"tgram://123456:{SECRET}/5",
)


@pytest.mark.parametrize("url", SECRETS)
def test_what_is_shown_has_no_secret(url: str) -> None:
    found = parse(url)
    for shown in (found.where, repr(found), str(found), f"{[found]}"):
        assert SECRET not in shown
    assert found.where.endswith("/…")
    assert isinstance(found, Address)


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{SECRET}/x", f"https://h.example:{SECRET}/", f"https://[{SECRET}/",
        f"https:///{SECRET}", f"https://h_{SECRET}!/", f"ntfys://h.example/{SECRET}/a?b", SECRET,
        f"tgram://{SECRET}/5", f"tgram://123456:{SECRET}/{SECRET}!", f"https://h/{SECRET} x",
        f"https://h/{SECRET}\r\nX: y", f"https://h/{SECRET}é", f"https://h/{SECRET}" + 2000 * "a",
        f"https://h.example:99999/{SECRET}", "", f"mailto:{SECRET}@example.com",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(AddressError) as error:
        parse(url)
    assert SECRET not in str(error.value)
    assert "write" in str(error.value) or "://" in str(error.value)
