"""Amounts as people write them: volumes, rates, durations, periods. Strict both ways.

Rules
1. A volume is bytes: ``500MB`` is 500 x 10^6, ``500MiB`` 500 x 2^20, ``kB`` and ``KB`` are the
   same. Up to three decimals; what does not come out as whole bytes is refused.
2. A rate is bits per second and is kept as such.
3. An error names what was given and shows forms that work.
"""

import re
from decimal import Decimal

from tripgate.core.model import Period

VOLUME_MAX = 10**15
RATE_MAX = 10**11
DURATION_MAX = 10 * 366 * 86_400

_BYTES = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "kiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_BITS = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)\s?([A-Za-z]{1,4})")

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_WINDOW = re.compile(f"{_CLOCK}-{_CLOCK}")

VOLUME_FORMS = "500MB, 1.5GB, 500MiB, 20480kB or 1000000B"
RATE_FORMS = "512kbit or 5Mbit"
DURATION_FORMS = "30m, 2h or 30d"
WINDOW_FORMS = "22:00-07:00"
CAP_FORMS = "500MB/day, 2GB/week, 10GB/month, 10GB/trip or 1GB/once"


class UnitError(ValueError):
    """What was given is no such amount; the text shows valid forms."""


def parse_volume(text: str) -> int:
    """Bytes; at least 1."""
    return _parse(text, _BYTES, VOLUME_MAX, "volume", VOLUME_FORMS)


def parse_rate(text: str) -> int:
    """Bits per second; at least 1."""
    return _parse(text, _BITS, RATE_MAX, "rate", RATE_FORMS)


def parse_duration(text: str) -> int:
    """Seconds; at least 1."""
    return _parse(text, _SECONDS, DURATION_MAX, "duration", DURATION_FORMS)


def format_duration(seconds: int) -> str:
    """As :func:`parse_duration` reads it, in the largest unit that comes out whole: ``30d``."""
    for name in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[name] == 0:
            return f"{seconds // _SECONDS[name]}{name}"
    return f"{seconds}s"


def parse_period(text: str) -> Period:
    try:
        return Period(text)
    except ValueError:
        forms = ", ".join(Period)
        raise UnitError(f"{text[:40]!r} is not a period: write {forms}") from None


def parse_cap(text: str) -> tuple[int, Period]:
    """``500MB/day`` as volume and period."""
    volume, slash, period = text.partition("/")
    if not slash:
        raise UnitError(f"{text[:40]!r} is not a cap: write {CAP_FORMS}")
    return parse_volume(volume), parse_period(period)


def _parse(text: str, units: dict[str, int], most: int, what: str, forms: str) -> int:
    match = _AMOUNT.fullmatch(text.strip()) if text.isascii() else None
    factor = units.get(match[2]) if match else None
    if match is None or factor is None:
        raise UnitError(f"{text[:40]!r} is not a {what}: write {forms}")
    amount = Decimal(match[1]) * factor
    if amount != amount.to_integral_value() or not 1 <= amount <= most:
        raise UnitError(f"{text[:40]!r} is out of range for a {what}: write {forms}")
    return int(amount)


def parse_window(text: str) -> tuple[int, int]:
    """``22:00-07:00`` as minutes of the day; the end may lie before the beginning."""
    match = _WINDOW.fullmatch(text) if text.isascii() else None
    if match is None:
        raise UnitError(f"{text[:40]!r} is not a daily window: write {WINDOW_FORMS}")
    begin_h, begin_m, end_h, end_m = map(int, match.groups())
    return begin_h * 60 + begin_m, end_h * 60 + end_m


def format_window(window: tuple[int, int]) -> str:
    """``22:00-07:00``."""
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in window)


def format_rate(rate: int) -> str:
    """As :func:`parse_rate` reads it: ``64kbit``, ``1.5Mbit``."""
    for name in ("Gbit", "Mbit", "kbit"):
        if rate >= _BITS[name] and rate * 1000 % _BITS[name] == 0:
            return f"{Decimal(rate) / _BITS[name]:f}{name}"
    return f"{rate}bit"


def round_up(volume: int) -> int:
    """To three significant digits: who gives what is shown has given enough."""
    step: int = 10 ** max(0, len(str(volume)) - 3)
    return -(-volume // step) * step


def format_volume(volume: int, unit: str = "GB") -> str:
    """Three significant digits: ``1.23 GB``, ``500 MB``, ``1.5 kB``, ``0 B``."""
    step, names = (1024, ("B", "KiB", "MiB", "GiB", "TiB")) if unit == "GiB" else (
        1000, ("B", "kB", "MB", "GB", "TB"))  # fmt: skip
    amount, index = Decimal(volume), 0
    while round(abs(amount), 0) >= step and index < len(names) - 1:
        amount, index = amount / step, index + 1
    if index == 0:
        return f"{int(amount)} B"
    places = 2 if abs(amount) < 10 else 1 if abs(amount) < 100 else 0
    text = f"{amount:.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {names[index]}"
