"""The configuration of hostapd: the access point and its keys.

Rules
1. The shared key is WPA3 (SAE), or WPA2 and WPA3 in transition; keys of persons are WPA2: with SAE
   hostapd takes the last matching password only and could not tell persons apart.
2. Protected management frames are required with WPA3 alone, offered (and required of SAE stations)
   otherwise.
3. Text is refused that hostapd would read as something else: an SSID is written in hexadecimal, a
   key is 8 to 63 printable ASCII characters (IEEE 802.11-2020 annex J.4.1) without ``|``, which
   starts an option of ``sae_password``, and without spaces at its ends.
4. Both texts hold keys: they go into files of mode 0600. An error never repeats a key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

KEYID_MOST = 31
PERSONS_MOST = 128

_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_SECRET = re.compile(r"^(sae_password=|wpa_passphrase=|keyid=\S+ [0-9a-f:]{17} ).*$", re.MULTILINE)
_KEYID = re.compile(rf"[a-z0-9-]{{1,{KEYID_MOST}}}")
_KEY = re.compile(r"[!-{}~][ -{}~]{6,61}[!-{}~]")
_ELEMENTS = re.compile(r"(?:[0-9a-f]{2}){2,257}")
_PATH = re.compile(r"/[A-Za-z0-9_./+@%=-]{1,200}")
_CHANNELS_2G = range(1, 14)
_CHANNELS_5G = (*range(36, 65, 4), *range(100, 145, 4), *range(149, 166, 4))


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """What the radio is told. Raises ``ValueError`` whose text is the valid form.

    ``channel`` 0 lets hostapd choose on 2.4 GHz. ``key`` is the shared key, if there is one;
    ``persons`` are keys by keyid, which hostapd names when a station joins.
    """

    interface: str
    ssid: str
    country: str
    control_dir: str
    psk_file: str
    channel: int = 6
    key: str | None = field(default=None, repr=False)
    security: Literal["wpa3", "transition"] = "transition"
    persons: Mapping[str, str] = field(default_factory=dict, repr=False)
    isolate: bool = True
    elements: str = ""

    def __post_init__(self) -> None:
        checks = (
            (_INTERFACE.fullmatch(self.interface), "an interface name: wlan0"),
            (1 <= len(_octets(self.ssid)) <= 32, "an SSID of 1 to 32 octets, all printable"),
            (_COUNTRY.fullmatch(self.country), "a country as in ISO 3166: DE"),
            (self.channel in (0, *_CHANNELS_2G, *_CHANNELS_5G), "a channel: 0 to 13, 36 to 165"),
            (_PATH.fullmatch(self.control_dir) and _PATH.fullmatch(self.psk_file), "a plain path"),
            (self.key or self.persons, "a shared key or keys of persons"),
            (self.key is None or valid_key(self.key), KEY_FORM),
            (len(self.persons) <= PERSONS_MOST, f"keys of at most {PERSONS_MOST} persons"),
            (all(_KEYID.fullmatch(keyid) for keyid in self.persons), "a keyid: a-z, 0-9, hyphen"),
            (all(valid_key(key) for key in self.persons.values()), KEY_FORM),
            (len(set(self.keys)) == len(self.keys), "a key of its own for everybody"),
            (not self.elements or _ELEMENTS.fullmatch(self.elements), "elements in hexadecimal"),
        )
        for good, form in checks:
            if not good:
                raise ValueError(form)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key."""
        return (*self.persons.values(), *((self.key,) if self.key else ()))


KEY_FORM = "a key of 8 to 63 printable ASCII characters, no | and no space at its ends"


def valid_key(text: str) -> bool:
    """True if hostapd takes ``text`` as a key, and as nothing else (rule 3)."""
    return _KEY.fullmatch(text) is not None


def text(point: AccessPoint) -> str:
    """``hostapd.conf``; secret."""
    return "\n".join(
        [
            f"interface={point.interface}",
            "driver=nl80211",
            f"ctrl_interface={point.control_dir}",
            f"ssid2={_octets(point.ssid).hex()}",
            "utf8_ssid=1",
            *_radio(point),
            f"ap_isolate={int(point.isolate)}",
            *((f"vendor_elements={point.elements}",) if point.elements else ()),
            *_security(point),
            "",
        ]
    )


def psk_text(point: AccessPoint) -> str:
    """``wpa_psk_file``: the keys of persons, any station; secret."""
    lines = (f"keyid={keyid} 00:00:00:00:00:00 {key}" for keyid, key in point.persons.items())
    return "\n".join([*lines, ""])


def without_keys(written: str) -> str:
    """A file of ours as anybody may read it: the keys in it are left out."""
    return _SECRET.sub(r"\1(hidden)", written)


def _octets(ssid: str) -> bytes:
    return ssid.encode() if ssid.isprintable() else b""


def _radio(point: AccessPoint) -> list[str]:
    high = point.channel in _CHANNELS_5G
    return [
        f"country_code={point.country}",
        "ieee80211d=1",
        *(("ieee80211h=1",) if high else ()),
        f"hw_mode={'a' if high else 'g'}",
        f"channel={point.channel}",
        "ieee80211n=1",
        *(("ieee80211ac=1",) if high else ()),
        "wmm_enabled=1",
    ]


def _security(point: AccessPoint) -> list[str]:
    old = bool(point.persons) or point.security == "transition"
    ways = [*(("WPA-PSK",) if old else ()), *(("SAE",) if point.key else ())]
    return [
        "auth_algs=1",
        "wpa=2",
        f"wpa_key_mgmt={' '.join(ways)}",
        "rsn_pairwise=CCMP",
        f"ieee80211w={1 if old else 2}",
        *(("sae_require_mfp=1", f"sae_password={point.key}") if point.key else ()),
        *((f"wpa_passphrase={point.key}",) if point.key and point.security != "wpa3" else ()),
        *((f"wpa_psk_file={point.psk_file}",) if point.persons else ()),
    ]
