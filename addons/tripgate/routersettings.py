"""Settings of the router mode that have a section of their own in the file: ``hotspot``, ``dns``.

Rules
1. A section is complete and checked by the rules of what it configures (:mod:`hostapdconf`,
   :mod:`dnsmasqconf`).
2. Keys are secrets: they are never part of a message or of a representation.
"""

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator

from tripgate.core.dnsmasqconf import Lan, server
from tripgate.core.hostapdconf import AccessPoint
from tripgate.core.unboundconf import TlsServer

SERVERS_MOST = 8


class Section(BaseModel):
    """A section of the settings; its keys may be written with one or two underscores before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_or_two_underscores(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key).lstrip("_"): item for key, item in value.items()}
        return value


class HotspotSettings(Section):
    """The access point. Without this section the LAN is not Wi-Fi of ours."""

    ssid: str
    country: str
    channel: int = 6
    key: SecretStr | None = None
    security: Literal["wpa3", "transition"] = "transition"
    persons: dict[str, SecretStr] = {}
    isolate: bool = True

    @model_validator(mode="after")
    def _makes_an_access_point(self) -> Self:
        self.access_point("wlan0", "/run/hostapd", "/run/psk")
        return self

    def access_point(
        self, interface: str, control_dir: str, psk_file: str, elements: str = ""
    ) -> AccessPoint:
        """As hostapd is told. ``ValueError`` where ``interface`` or a path does not fit."""
        return AccessPoint(
            interface,
            self.ssid,
            self.country,
            control_dir,
            psk_file,
            self.channel,
            self.key.get_secret_value() if self.key else None,
            self.security,
            {name: key.get_secret_value() for name, key in self.persons.items()},
            self.isolate,
            elements,
        )


def _servers(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > SERVERS_MOST:
        raise ValueError(f"a list of at most {SERVERS_MOST} resolvers")
    return tuple(server(str(one)) for one in value)


def _tls(value: object) -> tuple[TlsServer, ...]:
    if not isinstance(value, list | tuple) or len(value) > SERVERS_MOST:
        raise ValueError(f"a list of at most {SERVERS_MOST} resolvers")
    return tuple(one if isinstance(one, TlsServer) else _tls_server(str(one)) for one in value)


def _tls_server(text: str) -> TlsServer:
    address, _, name = text.partition(" ")
    try:
        return TlsServer(address, name)
    except ValueError:
        raise ValueError("ADDRESS and NAME of a resolver: 9.9.9.9 dns.quad9.net") from None


class DnsSettings(Section):
    """Names. ``servers``: upstream resolvers instead of the uplink's; ``tls``: over TLS, by unbound
    as a system service; ``canaries``: ask Private Relay and Firefox to leave names to us."""

    servers: Annotated[tuple[str, ...], BeforeValidator(_servers)] = ()
    tls: Annotated[tuple[TlsServer, ...], BeforeValidator(_tls)] = ()
    canaries: bool = True


def lan(interface: str, subnet: str, v6: str | None = None) -> Lan:
    """The LAN by its settings: ``subnet`` is the gateway's address with its prefix length."""
    return Lan(interface, IPv4Interface(subnet), IPv6Interface(v6) if v6 else None)
