"""Where settings come from, what they may be, and what a mistake is answered with."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tripgate.core.endpoint import EVERY_ADDRESS, Endpoint
from tripgate.settings import FILE_MOST, SettingsError, load


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("TRIPGATE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


ROUTER_ONLY = " belongs to the router mode: add --mode router"


def refused(**given: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**given)
    return str(caught.value)


def config(folder: Path, text: str) -> Path:
    path = folder / "tripgate.toml"
    path.write_text(text)
    return path


# ---- where they come from ------------------------------------------------------------------


def test_the_defaults_are_those_of_the_explicit_mode(tmp_path: Path) -> None:
    settings = load()
    assert settings.mode == "explicit"
    assert settings.listen == Endpoint(EVERY_ADDRESS, 8080)
    assert settings.socks == Endpoint(EVERY_ADDRESS, 1080)
    assert settings.portal == Endpoint(EVERY_ADDRESS, 8088)
    assert settings.metrics == Endpoint(("127.0.0.1",), 9108)
    assert settings.redis is None
    assert settings.state == tmp_path / "tripgate"
    assert settings.clock.trust == "kernel"


def test_the_router_mode_has_no_explicit_proxy_unless_asked() -> None:
    settings = load(mode="router", lan="wlan0")
    assert (settings.listen, settings.socks, settings.uplink) == (None, None, "auto")
    assert (settings.subnet, settings.services, settings.ssh) == (
        "10.77.0.1/24",
        "managed",
        "owner",
    )
    assert load(mode="router", lan="wlan0", listen=":8080").listen is not None


def test_tables_of_the_file_and_variables_set_the_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = config(tmp_path, '[network]\nquic = "count"\nguest_pool = "500MB"\n')
    monkeypatch.setenv("TRIPGATE_NETWORK_QUIC", "reject")
    network = load(config=path).network
    assert (network.quic, network.guest_pool) == ("reject", 500_000_000)


def test_a_hotspot_password_is_never_repeated(tmp_path: Path) -> None:
    path = config(tmp_path, '[hotspot]\nkey = ["hunter2hunter2"]\n')
    assert "hunter2" not in refused(config=path)


def test_the_command_line_beats_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = config(tmp_path, 'listen = ":1"\nsocks = ":2"\nportal = ":3"\n')
    monkeypatch.setenv("TRIPGATE_LISTEN", ":11")
    monkeypatch.setenv("TRIPGATE_SOCKS", ":12")
    settings = load(config=path, listen=":21")
    ports = [endpoint.port for endpoint in (settings.listen, settings.socks, settings.portal)]
    assert ports == [21, 12, 3]


def test_an_option_that_was_not_given_is_none() -> None:
    assert load(listen=None, redis=None).listen == Endpoint(EVERY_ADDRESS, 8080)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_REDIS", "")
    assert load().redis is None


def test_the_file_may_be_named_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIPGATE_CONFIG", str(config(tmp_path, 'metrics = "off"\n')))
    assert load().metrics is None


def test_the_owner_answers_for_the_clock_in_the_file(tmp_path: Path) -> None:
    path = config(tmp_path, '[clock]\ntrust = "host"\n')
    assert load(config=path).clock.trust == "host"


@pytest.mark.parametrize("name", ["TRIPGATE_CLOCK_TRUST", "TRIPGATE_CLOCK__TRUST"])
def test_the_owner_answers_for_the_clock_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "host")
    assert load().clock.trust == "host"


def test_variables_of_the_bootstrap_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_PYTHON", "/usr/bin/python3")
    monkeypatch.setenv("TRIPGATE_ONLY_INSTALL", "0")
    assert load().mode == "explicit"


def test_settings_do_not_change() -> None:
    settings = load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.mode = "router"  # type: ignore[misc]


def test_a_redis_url_is_kept_and_not_shown() -> None:
    settings = load(redis="redis://:s3cret@localhost:6379/0")
    assert settings.redis is not None
    assert settings.redis.get_secret_value() == "redis://:s3cret@localhost:6379/0"
    assert "s3cret" not in repr(settings) + str(settings)


def test_a_relative_state_folder_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(state="here").state == tmp_path / "here"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost:6379/0",
        "redis://:secret@10.0.0.1:6379/1",
        "rediss://user:secret@[::1]/0",
        "unix:///run/redis.sock?db=0",
        "unix://:secret@/run/redis.sock",
    ],
)
def test_a_redis_url_is_taken_as_it_is(url: str) -> None:
    redis = load(redis=url).redis
    assert redis is not None
    assert redis.get_secret_value() == url


# ---- what a mistake is answered with -------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {"listen": "8080"},
            "--listen '8080': HOST:PORT, :PORT for every address, [::1]:PORT, or off",
        ),
        ({"mode": "magic"}, "--mode 'magic': explicit or router"),
        ({"lan": "a b"}, "--lan 'a b': an interface, as in wlan0"),
        ({"uplink": "a b"}, "--uplink 'a b': an interface, several with commas between them "
                            "(wwan0,usb0), or auto"),
        ({"lisen": ":1"}, "--lisen: there is no such setting; did you mean listen?"),
        (
            {"listen": ":1080"},
            "--listen and --socks both name port 1080: give one of them another port, or off",
        ),
        ({"mode": "router"}, "--mode router needs --lan IFACE, the interface of the devices"),
        ({"mode": "router", "lan": "eth0", "uplink": "usb0,eth0"},
         "--lan and --uplink name the same interface: they must differ"),
        ({"lan": "eth0"}, "--lan" + ROUTER_ONLY),
        ({"uplink": "auto"}, "--uplink" + ROUTER_ONLY),
        ({"ssh": "off"}, "--ssh" + ROUTER_ONLY),
        ({"services": "system"}, "--services" + ROUTER_ONLY),
        ({"subnet": "10.7.0.1/24"}, "--subnet" + ROUTER_ONLY),
    ],
)  # fmt: skip
def test_a_mistake_names_the_option_the_value_and_the_forms(
    given: dict[str, object], line: str
) -> None:
    assert refused(**given) == line


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPGATE_PORTAL", "8088")
    assert refused().startswith("TRIPGATE_PORTAL '8088': HOST:PORT")


@pytest.mark.parametrize("name", ["TRIPGATE_CLOCK_TRUST", "TRIPGATE_CLOCK__TRUST"])
def test_a_mistake_in_a_nested_variable_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "sundial")
    assert refused() == f"{name} 'sundial': kernel or host"


def test_a_table_in_one_variable_is_answered_with_what_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPGATE_CLOCK", "host")
    assert refused() == "TRIPGATE_CLOCK: write TRIPGATE_CLOCK_TRUST=host"


def test_every_mistake_in_the_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    path = config(
        tmp_path,
        'lisen = ":1"\nportal = 8088\nsocks = ["a"]\nstate = 7\n"b\\nad\\u001b" = 1\n'
        "[clock]\ntrst = 1\n",
    )
    assert set(refused(config=path).split("\n")) == {
        f"{path}: lisen: there is no such setting; did you mean listen?",
        f"{path}: portal '8088': HOST:PORT, :PORT for every address, [::1]:PORT, or off",
        f"{path}: socks \"['a']\": HOST:PORT, :PORT for every address, [::1]:PORT, or off",
        f"{path}: state '7': the path of a folder or file",
        f"{path}: b\\nad\\x1b: there is no such setting; there are mode, listen, socks, portal, "
        "metrics, redis, state, config, lan, uplink, subnet, services, ssh, clock, "
        "network, hotspot, dns",
        f"{path}: clock.trst: there is no such setting; did you mean trust?",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"listen = ", "is not TOML: "),
        (b"\xff\xfe", "is not TOML: "),
        (b"#" * (FILE_MOST + 1), "longer than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "tripgate.toml"
    path.write_bytes(content)
    answer = refused(config=path)
    assert answer.startswith(f"settings file {path}: {reason}")
    assert "\n" not in answer


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refused(config=path) == f"settings file {path}: No such file or directory"


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:6379", "http://localhost", "redis://", "redis://:secret@", "unix://"),
        *("redis://h:99999", "redis://h:0", "redis://[::1", "redis://h\n:1"),
        "redis://" + 600 * "h",
    ],
)
def test_what_is_no_redis_url_is_refused(url: str) -> None:
    assert refused(redis=url).startswith("--redis (value not shown): redis://HOST:PORT/DB")


@pytest.mark.parametrize("source", ["option", "variable", "file"])
def test_a_redis_password_is_never_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    url = "reddis://:s3cret@localhost"
    given: dict[str, object] = {}
    if source == "option":
        given["redis"] = url
    elif source == "variable":
        monkeypatch.setenv("TRIPGATE_REDIS", url)
    else:
        given["config"] = config(tmp_path, f'redis = "{url}"\n')
    answer = refused(**given)
    assert "s3cret" not in answer
    assert answer.endswith(
        "(value not shown): redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
    )


def test_a_long_or_hostile_value_is_cut_and_escaped() -> None:
    answer = refused(listen="\x1b[31m\n" + "x" * 1000)
    assert answer.isprintable()
    assert len(answer) < 200
