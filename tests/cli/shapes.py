"""The shapes of the CLI's JSON documents: exact keys, exact types."""

import re
from typing import Any

Shape = Any
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


class Instant:
    """A text in ISO 8601, UTC."""


def fits(value: object, shape: Shape, where: str = "$") -> None:
    """Assert that ``value`` has ``shape``: a type, a list of one shape, a dict, or a tuple of
    alternatives (None among them)."""
    if isinstance(shape, tuple):
        assert any(_fits(value, one) for one in shape), f"{where}: {value!r}"
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{where}: {value!r}"
        for index, one in enumerate(value):
            fits(one, shape[0], f"{where}[{index}]")
    elif isinstance(shape, dict):
        assert isinstance(value, dict), f"{where}: {value!r}"
        assert list(value) == list(shape), f"{where}: keys {list(value)}"
        for key, one in shape.items():
            fits(value[key], one, f"{where}.{key}")
    elif shape is Instant:
        assert isinstance(value, str) and INSTANT.fullmatch(value), f"{where}: {value!r}"
    else:
        assert value is None if shape is None else type(value) is shape, f"{where}: {value!r}"


def _fits(value: object, shape: Shape) -> bool:
    try:
        fits(value, shape)
    except AssertionError:
        return False
    return True


CAP_OF_DEVICE = {
    "period": str,
    "limit": int,
    "used": int,
    "remaining": int,
    "resets_at": (Instant, None),
    "reached": bool,
}
DEVICE = {
    "id": str,
    "name": str,
    "person": (str, None),
    "state": str,
    "mac": (str, None),
    "ip": (str, None),
    "ips": [str],
    "last_seen": (Instant, None),
    "used_today": int,
    "caps": [CAP_OF_DEVICE],
    "owner": bool,
    "hostname": (str, None),
    "vendor": (str, None),
    "random_mac": (bool, None),
}
PERSON = {"name": str, "devices": [str], "used_today": int, "caps": [CAP_OF_DEVICE]}
CAP = {
    "target": str,
    "period": str,
    "limit": int,
    "used": int,
    "reserved": int,
    "remaining": int,
    "action": str,
    "warn": [int],
    "resets_at": (Instant, None),
    "reached": bool,
    "given": int,
    "roll": bool,
    "except": (str, None),
    "needed": int,
}
PLAN = {
    "volume": (int, None),
    "used": int,
    "remaining": (int, None),
    "starts_at": (Instant, None),
    "expires_at": (Instant, None),
    "tz": str,
    "step": int,
    "price": (str, None),
    "pace": (float, None),
    "per_day": (int, None),
    "start": str,
    "day": str,
    "billing_day": int,
    "unit": str,
    "clock": str,
    "uplink": (str, None),
    "valid_s": (int, None),
}
AUDIT = {"at": Instant, "actor": str, "action": str, "detail": str}
DOCTOR = {
    "ok": bool,
    "checks": [{"check": str, "result": str, "detail": str, "mend": str}],
}


def usage(keys: dict[str, Shape]) -> dict[str, Shape]:
    """``usage`` whose rows have ``keys``."""
    return {
        "since": Instant,
        "until": Instant,
        "by": [str],
        "kind": str,
        "rows": [{**keys, "up": int, "down": int, "total": int}],
        "total": int,
        "overhead": (int, None),
        "left_out": int,
    }
