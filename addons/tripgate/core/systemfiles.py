"""The files of ``router apply``: dnsmasq, hostapd and the gateway as system services.

Rules
1. Every file begins with ``HEADER``: by it a file is known as ours, and only such a file is
   overwritten or removed.
2. No file turns forwarding on: after a boot there would be forwarding and no rule yet. The gateway
   does that itself, after its rules.
3. The LAN interface is nobody else's: NetworkManager and systemd-networkd leave it alone.
4. Query logging is off: there is no gateway at the other end of the log, and the journal is on the
   memory card.
5. Files with keys are readable by root alone.
6. The gateway comes first: what gives devices an address or a radio starts once it has said that
   its doors are shut, or has failed and is tried again. No number of failures is the last one.
7. The gateway has root's files but few of root's powers (CAP_NET_*); a gateway that hangs is
   ended and started again (``WatchdogSec``; the kernel's rules stand meanwhile).
8. The state folder is the gateway's to give: systemd makes it for the gateway alone, for the group
   ``tripgate`` where there is one. Any other owner or mode would be systemd's at every start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tripgate.core import hostapdconf, unboundconf
from tripgate.core.dnsmasqconf import Resolver, captive_text, resolver_text
from tripgate.core.hostapdconf import AccessPoint
from tripgate.core.unboundconf import TlsServer

HEADER = (
    "# Written by tripgate router apply: changes are lost; tripgate router remove takes it back."
)
FOLDER = "etc/tripgate"
PSK_FILE = f"{FOLDER}/hostapd.psk"
CONTROL_DIR = "/run/tripgate-hostapd"

_UNITS = "etc/systemd/system"
GATEWAY_UNIT = f"{_UNITS}/tripgate.service"
RESOLVER_UNIT = f"{_UNITS}/tripgate-dnsmasq.service"
CAPTIVE_UNIT = f"{_UNITS}/tripgate-captive.service"
HOSTAPD_UNIT = f"{_UNITS}/tripgate-hostapd.service"
RESOLVER_CONF = f"{FOLDER}/dnsmasq.conf"
CAPTIVE_CONF = f"{FOLDER}/dnsmasq-captive.conf"
HOSTAPD_CONF = f"{FOLDER}/hostapd.conf"
NETWORK_MANAGER = "etc/NetworkManager/conf.d/tripgate.conf"
NETWORKD = "etc/systemd/network/10-tripgate.network"
SYSCTL = "etc/sysctl.d/60-tripgate.conf"
UNBOUND = "etc/unbound/unbound.conf.d/tripgate.conf"

EVERY_PATH = (
    *(GATEWAY_UNIT, RESOLVER_UNIT, CAPTIVE_UNIT, HOSTAPD_UNIT, RESOLVER_CONF, CAPTIVE_CONF),
    *(HOSTAPD_CONF, PSK_FILE, NETWORK_MANAGER, NETWORKD, SYSCTL, UNBOUND),
)
"""All that any version with these settings may have written, relative to the root."""


@dataclass(frozen=True, slots=True)
class SystemFile:
    """``path`` is relative to the root of the file system."""

    path: str
    text: str
    mode: int = 0o644

    @property
    def unit(self) -> str | None:
        """The systemd service that it is, if it is one."""
        name = self.path.rpartition("/")[2]
        return name if self.path.startswith(_UNITS) else None


@dataclass(frozen=True, slots=True)
class Router:
    """What is installed. ``command``: ``tripgate``, its path, and the options of ``up``; ``state``:
    the state folder, which the services may write to; ``group``: people of the group ``tripgate``
    may use it."""

    command: tuple[str, ...]
    state: str
    resolver: Resolver
    captive_port: int
    uplinks: tuple[str, ...] = ()
    point: AccessPoint | None = None
    tls: tuple[TlsServer, ...] = ()
    group: bool = False


def files(router: Router) -> list[SystemFile]:
    """Everything to install. Raises ``ValueError`` for a value that does not fit."""
    lan = router.resolver.lan
    return [
        _file(GATEWAY_UNIT, _gateway_unit(router)),
        _file(
            RESOLVER_UNIT,
            _dnsmasq_unit("addresses and names for the LAN", RESOLVER_CONF, router.state),
        ),
        _file(
            CAPTIVE_UNIT,
            _dnsmasq_unit("names for devices that are not open", CAPTIVE_CONF, router.state),
        ),
        _file(RESOLVER_CONF, resolver_text(router.resolver)),
        _file(CAPTIVE_CONF, captive_text(lan, router.captive_port)),
        *_access_point(router.point),
        _file(NETWORK_MANAGER, f"[keyfile]\nunmanaged-devices=interface-name:{lan.interface}\n"),
        _file(NETWORKD, f"[Match]\nName={lan.interface}\n\n[Link]\nUnmanaged=yes\n"),
        *_sysctl(router.uplinks),
        *((_file(UNBOUND, unboundconf.unbound_text(router.tls)),) if router.tls else ()),
    ]


def is_ours(text: str) -> bool:
    """True for a file that we wrote."""
    return text.startswith(HEADER)


def _file(path: str, text: str, mode: int = 0o644) -> SystemFile:
    return SystemFile(path, f"{HEADER}\n{text}", mode)


def _access_point(point: AccessPoint | None) -> list[SystemFile]:
    if point is None:
        return []
    return [
        _file(HOSTAPD_UNIT, _HOSTAPD_UNIT),
        _file(HOSTAPD_CONF, hostapdconf.text(point), 0o600),
        _file(PSK_FILE, hostapdconf.psk_text(point), 0o600),
    ]


def _sysctl(uplinks: Sequence[str]) -> list[SystemFile]:
    """A router takes advertisements on its uplink only when told so (ip-sysctl: accept_ra)."""
    lines = [f"-net/ipv6/conf/{uplink}/accept_ra = 2\n" for uplink in uplinks]
    return [_file(SYSCTL, "".join(lines))] if lines else []


def _gateway_unit(router: Router) -> str:
    return _GATEWAY_UNIT.format(
        command=" ".join(_word(word) for word in router.command),
        state=_word(router.state),
        group="Group=tripgate\nStateDirectoryMode=2770\n" if router.group else "",
    )


def _dnsmasq_unit(what: str, conf: str, state: str) -> str:
    return _DNSMASQ_UNIT.format(what=what, conf=conf, state=_word(state))


def _word(text: str) -> str:
    """One word of a unit's command line; ``%`` and ``$`` are systemd's."""
    if not text.isprintable() or any(c.isspace() or c in "\"'\\$%" for c in text):
        raise ValueError("paths without spaces, quotes, $ and %")
    return text


_GATEWAY_UNIT = """\
[Unit]
Description=tripgate: every byte of the travel plan has an owner
Wants=network.target tripgate-dnsmasq.service tripgate-captive.service
After=network.target nftables.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=30
TimeoutStartSec=60
TimeoutStopSec=60
KillMode=mixed
ExecStart={command}
Restart=always
RestartSec=1
StateDirectory=tripgate
{group}ReadWritePaths=-{state}
RuntimeDirectory=tripgate
UMask=0007
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""

_DNSMASQ_UNIT = """\
[Unit]
Description=tripgate: {what}
After=network.target tripgate.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/sbin/dnsmasq --conf-file=/{conf} --user=dnsmasq
Restart=always
RestartSec=1
ReadWritePaths=-{state}
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""

_HOSTAPD_UNIT = f"""\
[Unit]
Description=tripgate: the access point
After=network.target tripgate.service
StartLimitIntervalSec=0

[Service]
ExecStartPre=-/usr/sbin/rfkill unblock wlan
ExecStart=/usr/sbin/hostapd /{HOSTAPD_CONF}
Restart=always
RestartSec=2
RuntimeDirectory=tripgate-hostapd
ProtectSystem=strict
ReadWritePaths=/run
ProtectHome=read-only
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
