"""Settings of a gateway: options of ``tripgate up``, ``TRIPGATE_*`` variables and a TOML file.

Rules
1. The command line beats the environment, the environment beats the file, the file beats the
   defaults. Nothing else in the package reads the environment or the file.
2. ``Settings`` is frozen and complete: what it holds was checked when it was made.
3. An error is one line that names the option as it was given (``--listen``, ``TRIPGATE_LISTEN``,
   ``FILE: listen``), the value and the valid forms. A Redis URL may hold a password and is never
   repeated.
4. A key of the file that nobody knows is an error: a typing mistake must not become a default.
5. In the environment a nested setting is written with one or two underscores: ``clock.trust`` is
   ``TRIPGATE_CLOCK_TRUST``.
"""

import difflib
import itertools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as EnvironmentSettingsError

from tripgate.core.endpoint import (
    EVERY_ADDRESS,
    Endpoint,
    check_interface,
    check_interfaces,
    check_subnet,
    parse_endpoint,
)
from tripgate.core.units import parse_volume
from tripgate.routersettings import DnsSettings, HotspotSettings, Section
from tripgate.statefind import own_folder

URL_MOST = 512
REDIS_FORMS = "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH"
FILE_MOST = 64 * 1024
SHOWN_MOST = 60
_ROUTER_ONLY = ("lan", "uplink", "subnet", "services", "ssh")
_SECRET = frozenset({"redis", "hotspot"})


class SettingsError(Exception):
    """The settings do not make a gateway. One line for each mistake; each says what to do."""


def _text(value: object) -> str:
    """As the parsers want it; another type of a TOML value becomes text that they refuse."""
    return value if isinstance(value, str) else repr(value)


def _endpoint(value: object) -> Endpoint | None:
    return value if isinstance(value, Endpoint) else parse_endpoint(_text(value))


def _redis_url(value: object) -> str:
    text = _text(value)
    try:
        url = urlsplit(text)
        where = url.path if url.scheme == "unix" else url.hostname
        good = url.scheme in {"redis", "rediss", "unix"} and where and url.port != 0
    except ValueError:
        good = False
    if not good or len(text) > URL_MOST or not text.isprintable():
        raise ValueError(REDIS_FORMS)
    return text


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("the path of a folder or file")
    return Path(value).expanduser().absolute()


def _volume(value: object) -> int | None:
    return value if value is None or isinstance(value, int) else parse_volume(_text(value))


Listen = Annotated[Endpoint | None, NoDecode, BeforeValidator(_endpoint)]
Interfaces = Annotated[str, BeforeValidator(lambda value: check_interfaces(_text(value)))]
Subnet = Annotated[str, BeforeValidator(lambda value: check_subnet(_text(value)))]
RedisUrl = Annotated[SecretStr, BeforeValidator(_redis_url)]


class ClockSettings(Section):
    """``trust = "host"``: the owner answers for the clock (containers, test machines)."""

    trust: Literal["kernel", "host"] = "kernel"


class NetworkSettings(Section):
    """What the router mode does with the LAN's traffic.

    ``quic``: ``reject`` makes browsers fall back to TCP at once, ``count`` forwards it.
    ``guest_pool``: unknown devices share this volume a day without approval.
    """

    quic: Literal["reject", "count"] = "reject"
    guest_pool: Annotated[int | None, BeforeValidator(_volume)] = None


SECTIONS: Mapping[str, type[BaseModel]] = {
    "clock": ClockSettings,
    "network": NetworkSettings,
    "hotspot": HotspotSettings,
    "dns": DnsSettings,
}


class Settings(BaseSettings):
    """All there is to set. Made by :func:`load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="TRIPGATE_",
        env_ignore_empty=True,
        validate_default=False,
    )

    mode: Literal["explicit", "router"] = "explicit"
    listen: Listen = Endpoint(EVERY_ADDRESS, 8080)
    socks: Listen = Endpoint(EVERY_ADDRESS, 1080)
    portal: Listen = Endpoint(EVERY_ADDRESS, 8088)
    metrics: Listen = Endpoint(("127.0.0.1",), 9108)
    redis: RedisUrl | None = None
    state: Annotated[Path, BeforeValidator(_path)] = Field(default_factory=own_folder)
    config: Annotated[Path | None, BeforeValidator(_path)] = None
    lan: Annotated[str | None, BeforeValidator(lambda value: check_interface(_text(value)))] = None
    uplink: Interfaces = "auto"
    subnet: Subnet = "10.77.0.1/24"
    services: Literal["managed", "system"] = "managed"
    ssh: Literal["lan", "owner", "off"] = "owner"
    clock: ClockSettings = ClockSettings()
    network: NetworkSettings = NetworkSettings()
    hotspot: HotspotSettings | None = None
    dns: DnsSettings = DnsSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        environment = EnvSettingsSource(
            settings_cls, env_nested_delimiter="_", env_nested_max_split=1
        )
        file = init_settings().get("config") or environment().get("config")
        document = read_config(_path(file)) if file else {}
        return init_settings, environment, InitSettingsSource(settings_cls, document)

    @model_validator(mode="before")
    @classmethod
    def _no_proxy_unless_asked(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A router needs no explicit proxy: devices have no setting at all."""
        if values.get("mode") == "router":
            return {"listen": "off", "socks": "off", **values}
        return values

    @model_validator(mode="after")
    def _router_is_whole(self) -> Self:
        if self.mode == "router":
            if self.lan is None:
                raise ValueError("--mode router needs --lan IFACE, the interface of the devices")
            if self.lan in self.uplink.split(","):
                raise ValueError("--lan and --uplink name the same interface: they must differ")
            return self
        odd = [name for name in _ROUTER_ONLY if name in self.model_fields_set]
        if odd:
            raise ValueError(f"--{odd[0]} belongs to the router mode: add --mode router")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        named = ((name, getattr(self, name)) for name in ("listen", "socks", "portal", "metrics"))
        servers = [(name, address) for name, address in named if address]
        for (one, first), (other, second) in itertools.combinations(servers, 2):
            if first.clashes(second):
                raise ValueError(
                    f"--{one} and --{other} both name port {first.port}: "
                    "give one of them another port, or off"
                )
        return self


@dataclass(frozen=True, slots=True)
class Supervision:
    """What systemd says to the process that it starts (``sd_notify(3)``,
    ``sd_watchdog_enabled(3)``); ``None`` where nobody does."""

    socket: str | None = None
    watchdog_s: float | None = None


def supervision() -> Supervision:
    """By the environment; the word is for this process alone."""
    name = os.environ.get("NOTIFY_SOCKET")
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    known = meant and microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
    return Supervision(name or None, int(microseconds) / 1e6 if known else None)


def read_config(path: Path) -> dict[str, Any]:
    """The TOML document at ``path``. Raises :class:`SettingsError`."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_MOST + 1)
        if len(text) > FILE_MOST:
            raise SettingsError(f"settings file {path}: longer than {FILE_MOST // 1024} KiB")
        return tomllib.loads(text.decode())
    except OSError as error:
        raise SettingsError(f"settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path}: is not TOML: {error}") from None


def load(**given: object) -> Settings:
    """Settings from the options ``given`` (``None``: not given), the environment and the file.

    Raises :class:`SettingsError`.
    """
    options = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**options)  # type: ignore[arg-type]  # checked by the model
    except ValidationError as error:
        lines = dict.fromkeys(_line(dict(one), options) for one in error.errors())
        raise SettingsError("\n".join(lines)) from None
    except EnvironmentSettingsError:
        raise SettingsError("TRIPGATE_CLOCK: write TRIPGATE_CLOCK_TRUST=host") from None
    return settings


def _line(error: dict[str, Any], options: Mapping[str, object]) -> str:
    """One mistake as one line."""
    place = tuple(str(part) for part in error["loc"])
    message = str(error.get("ctx", {}).get("error") or error["msg"])
    if not place:
        return message
    source = _source(place, options)
    if error["type"] == "extra_forbidden":
        return f"{source}: there is no such setting{_close(place)}"
    if error["type"] == "literal_error":
        message = str(error["ctx"]["expected"]).replace("'", "")
    if place[0] in _SECRET:
        return f"{source} (value not shown): {message}"
    return f"{source} {_shown(error['input'])}: {message}"


def _source(place: tuple[str, ...], options: Mapping[str, object]) -> str:
    """The setting as it was given, by rule 1."""
    if place[0] in options:
        return f"--{place[0]}"
    plain = "_".join(part.lstrip("_") for part in place).upper()
    for name in os.environ:
        if name.upper().replace("__", "_") == f"TRIPGATE_{plain}":
            return name
    config = options.get("config") or os.environ.get("TRIPGATE_CONFIG")
    return f"{config}: {ascii('.'.join(place))[1:-1][:SHOWN_MOST]}"


def _close(place: tuple[str, ...]) -> str:
    known = SECTIONS.get(place[0], Settings).model_fields
    close = difflib.get_close_matches(place[-1], known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def _shown(value: object) -> str:
    text = repr(str(value))
    return text if len(text) <= SHOWN_MOST else f"{text[:SHOWN_MOST]}…"
