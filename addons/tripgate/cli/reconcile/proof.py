"""What an export holds: all that a seller needs to check a bill, and nothing of whom."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tripgate import __version__
from tripgate.cli.cells import instant
from tripgate.cli.documents import Snapshot
from tripgate.cli.reconcile.bundle import Bundle, Member
from tripgate.cli.reconcile.count import owners
from tripgate.cli.reconcile.documents import ReportDocument, report_document, text
from tripgate.cli.store import Store
from tripgate.core.model import FORGOTTEN, NOBODYS, Period, Plan
from tripgate.core.usage import HOUR_S, KEEP_HOURS_S, OVERHEAD, Reading, rows

TOTALS, HOURS, READINGS = "usage-total.csv", "usage-hourly.csv", "readings.csv"
PRIVATE = {"uplink"}
"""Of the plan: the name of an interface may have a MAC address in it."""
HOW = (
    "usage-total.csv     bytes by owner and category since the plan's start",
    "usage-hourly.csv    the same by hour (UTC); hours are kept for 60 days",
    "readings.csv        what the carrier said, beside our count at that time",
    "plan.json           the plan as it is set",
    "report.json         this report for programs",
    "manifest.json       SHA-256 of every file here",
    "Owners are devices, (gateway): the router's own bytes, (unattributed): nobody's, and",
    "(forgotten): devices that were taken out. Bytes on uplinks that cost nothing are in the",
    "usage files and not in the plan's count.",
)


async def export(store: Store, read: Snapshot, path: Path, *, replace: bool) -> dict[str, Any]:
    """Write the file; what was written. Raises :class:`~tripgate.cli.failure.Refused`."""
    document = report_document(store, read)
    program = {"program": "tripgate", "version": __version__, "made_at": instant(read.now)}
    with Bundle(path, read.now, replace=replace) as made:
        made.lines("report.txt", _report(document))
        made.document("report.json", {**program, **document})
        made.document("plan.json", _plan(read.book.plan))
        with made.member(READINGS) as member:
            _readings(member, read)
        with made.member(TOTALS) as member:
            await _totals(member, store, read)
        with made.member(HOURS) as member:
            await _hours(member, store, read)
        size = made.close({**program, "clock": document["clock"]})
    readings = len(read.book.statements)
    return {"file": str(path), "bytes": size, "readings": readings, "made_at": instant(read.now)}


def _report(document: ReportDocument) -> list[str]:
    title = f"tripgate {__version__}: a report on the bill, made {document['now']}"
    clock = f"clock: {document['clock']}"
    return [title, clock, "", *text(document), "", *HOW]


def _plan(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    kept = {key: value for key, value in asdict(plan).items() if key not in PRIVATE}
    return {
        **kept,
        "starts_at": instant(plan.starts_at),
        "counts_from": instant(plan.counts_from),
        "expires_at": instant(plan.expires_at),
    }


def _readings(member: Member, read: Snapshot) -> None:
    """Of all plans."""
    member.row(
        ("plan_since", "at", "carrier_text", "carrier_bytes", "counted_bytes", "counted_sure_to",
         "headers_estimated", "noted_at", "clock")
    )  # fmt: skip
    for one in read.book.statements:
        clock = "trusted" if one.trusted else "untrusted"
        sizes = (one.text, one.said, one.counted, one.apart, one.headers)
        member.row((instant(one.trip), instant(one.at), *sizes, instant(one.noted_at), clock))


def _name(read: Snapshot, owner: str) -> str:
    device = read.book.devices.get(owner)
    return device.name if device else owner


async def _totals(member: Member, store: Store, read: Snapshot) -> None:
    member.row(("device_id", "device", "category", "up", "down", "headers_estimated"))
    trip = read.starts[Period.TRIP]
    for owner in (*read.book.devices, FORGOTTEN, *NOBODYS):
        (bucket,) = await store.ledger.buckets([f"use:{owner}:trip:{trip}"])
        for category, (up, down) in _by_category(owner, bucket).items():
            member.row((owner, _name(read, owner), category, up, down, None))
        if headers := bucket.get(OVERHEAD, 0):
            member.row((owner, _name(read, owner), None, None, None, headers))


async def _hours(member: Member, store: Store, read: Snapshot) -> None:
    """From the plan's start, as far back as hours are kept."""
    member.row(("hour", "device_id", "device", "category", "up", "down"))
    since = max(read.starts[Period.TRIP], read.now - KEEP_HOURS_S)
    begun = range(since // HOUR_S * HOUR_S, read.now + 1, HOUR_S)
    for owner in owners(read, since):
        names = [f"use:{owner}:hour:{hour}" for hour in begun]
        for hour, bucket in zip(begun, await store.ledger.buckets(names), strict=True):
            for category, (up, down) in _by_category(owner, bucket).items():
                member.row((instant(hour), owner, _name(read, owner), category, up, down))


def _by_category(owner: str, bucket: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    reading = Reading(0, ("",), (owner,))
    volumes = {name: size for name, size in bucket.items() if name != OVERHEAD}
    found = rows(reading, [volumes], ("category",), {})
    return {row.keys["category"]: (row.up, row.down) for row in found}
