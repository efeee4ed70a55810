"""MAC addresses of devices: one written form, and what an address tells by itself.

Rules
1. The one form is six octets in lower case with colons; hyphens are read too. A group address
   (bit 0 of the first octet, IEEE 802-2014 clause 8.2.2) and all zeros are no device's.
2. A locally administered address (bit 1 of the first octet) was made up by the device, as phones
   do for each network: it has no vendor, and it may be another one tomorrow.
3. The vendor is a hint for a person who looks for a device in a list. Nothing is decided by it,
   so the table holds a few well-known assignments and says nothing about the rest.
"""

import re

_MAC = re.compile(r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}")

_ASSIGNED = {
    "Amazon": "74c246 84d6d0 a002dc f0272d",
    "Apple": "000393 000a27 000a95 000d93 001124 001451 0016cb 0017f2 0019e3 001b63 001cb3 001d4f "
    "001e52 001ec2 001f5b 001ff3 0021e9 002241 002312 002332 00236c 0023df 002436 002500 00254b "
    "0025bc 002608 00264a 0026b0 0026bb 28cfe9 3c0754 a45e60 acbc32 f01898",
    "Espressif": "18fe34 240ac4 30aea4 5ccf7f",
    "Google": "001a11 3c5ab4 94eb2c f4f5d8 f4f5e8",
    "HTC": "00092d 002376",
    "Huawei": "001882 001e10 00259e 00e0fc",
    "Intel": "001b21 001e64 001e65 00215c 00216a 0022fa 0024d7 002710 a088b4",
    "LG": "001c62 001e75 001f6b",
    "Microsoft": "00155d 281878 7c1e52",
    "Nintendo": "0009bf 0017ab 00191d 001bea 001f32",
    "Raspberry Pi": "28cdc1 2ccf67 b827eb d83add dca632 e45f01",
    "Samsung": "0012fb 001599 001632 0017c9 001a8a 002119 002339 5c0a5b",
    "Sony": "00041f 001315 0015c1 0019c5 001d0d",
    "Xiaomi": "286c07 3480b3 640980 8cbebe f8a45f",
}
_VENDORS = {prefix: name for name, prefixes in _ASSIGNED.items() for prefix in prefixes.split()}


def parse_mac(text: str) -> str:
    """The address in its one form. Raises ``ValueError`` whose text is the valid form."""
    lower = text.lower()
    if not _MAC.fullmatch(lower):
        raise ValueError("a MAC address: 02:00:00:12:34:56")
    mac = lower.replace("-", ":")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError("the MAC address of one device: 02:00:00:12:34:56")
    return mac


def clean_mac(text: str) -> str | None:
    """As :func:`parse_mac`; ``None`` for anything that is no device's address."""
    try:
        return parse_mac(text)
    except ValueError:
        return None


def is_random(mac: str) -> bool:
    """True if the device made this address up (rule 2). ``mac`` is in its one form."""
    return bool(int(mac[:2], 16) & 2)


def vendor(mac: str) -> str | None:
    """Who made the interface, where that is known. ``mac`` is in its one form."""
    return None if is_random(mac) else _VENDORS.get(mac[:8].replace(":", ""))
