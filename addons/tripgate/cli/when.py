"""Instants on the command line: ISO 8601, in the plan's zone where none is written."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

FORMS = "2026-05-01, 2026-05-01T14:30, 2026-05-01T14:30:00Z or 2026-05-01T14:30+02:00"
LENGTH_MOST = 40
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


def parse_instant(text: str, zone: str) -> int:
    """UTC epoch seconds; ``ValueError`` shows the valid forms. ``zone`` is an IANA name."""
    problem = ValueError(f"'{text[:LENGTH_MOST]}' is not an instant of 2000 to 2099: {FORMS}")
    if len(text) > LENGTH_MOST or not text.isascii():
        raise problem
    try:
        read = datetime.fromisoformat(text)
        aware = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))
        instant = int(aware.timestamp())
    except (ValueError, OverflowError):
        raise problem from None
    if not EARLIEST <= instant < LATEST:
        raise problem
    return instant
