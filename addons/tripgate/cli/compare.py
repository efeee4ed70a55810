"""``tripgate plan compare``: what other offers would have cost for this trip."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from tripgate.cli import failure, offersfile
from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import now, present, run
from tripgate.cli.documents import Snapshot, snapshot
from tripgate.cli.options import Json, State, example
from tripgate.cli.output import Column, note, table, together
from tripgate.cli.store import Store
from tripgate.cli.when import parse_instant
from tripgate.core import compare
from tripgate.core.compare import Answer, Trip
from tripgate.core.forecast import ENOUGH_H
from tripgate.core.model import PLAN, Period
from tripgate.core.units import DURATION_FORMS, UnitError, format_duration, parse_duration
from tripgate.outlook import pace

if TYPE_CHECKING:
    from rich.console import RenderableType

EPILOG = example(
    "tripgate plan compare docs/offers.toml",
    "tripgate plan compare docs/offers.toml --until 14d",
)
COLUMNS = (
    Column("offer"),
    Column("volume", figure=True),
    Column("valid", figure=True),
    Column("so far"),
    Column("trip"),
    Column("buy"),
    Column("cost", figure=True),
    Column("between", figure=True),
)


class OfferDocument(TypedDict):
    """A row of ``plan compare``. ``cost`` is what the whole trip would cost, ``cost_low`` and
    ``cost_high`` at the ends of the forecast's range; ``step_counted``: rounding is in it."""

    name: str
    volume: int | None
    fair_use: int | None
    valid_s: int | None
    step: int
    price: float
    currency: str
    covers_used: bool
    trip: str
    packages: int
    top_ups: int
    cost: float
    cost_low: float
    cost_high: float
    step_counted: bool


class CompareDocument(TypedDict):
    """``plan compare``. ``expected``: bytes of the whole trip; None where nothing is foreseen."""

    used: int
    since: str | None
    now: str | None
    until: str | None
    hours_of_data: int
    expected: dict[str, int] | None
    per_day: int
    offers: list[OfferDocument]


def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Offers, as TOML or (with .csv) as CSV.")
    ],
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="14d|ISO", help="The trip's end; when the plan expires if left out."
        ),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Which offers would have carried this trip, at what cost; the cheapest that lasts first."""
    at = now()
    with failure.usage("--until"):
        _until(until, at, "UTC")
    offers = offersfile.read(file)

    async def fetch(store: Store) -> CompareDocument:
        read = await snapshot(store, at)
        rhythm, hours = await pace(store.ledger, read.book, read.tallies.seen, at)
        begun = _begun(read)
        with failure.usage("--until"):
            end = _end(read, until)
        known = rhythm if hours >= ENOUGH_H else None
        used = read.used(PLAN, Period.TRIP)
        found = compare.trip(used, begun, at, end, known, None)
        answers = compare.compare(offers, found, max(1, at - begun))
        return {
            "used": used,
            "since": instant(begun),
            "now": instant(at),
            "until": instant(end),
            "hours_of_data": hours,
            "expected": _expected(found),
            "per_day": int(rhythm.daily),
            "offers": [_row(one) for one in answers],
        }

    present(run(state, fetch), _draw, as_json=as_json)


def _until(text: str | None, at: int, zone: str) -> int | None:
    """``14d`` from ``at`` on, or an instant."""
    if text is None:
        return None
    try:
        return at + parse_duration(text)
    except UnitError:
        pass
    try:
        end = parse_instant(text, zone)
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is no end: write {DURATION_FORMS}, or an instant"
        ) from None
    if end <= at:
        raise ValueError(f"{text[:40]!r} is in the past: write when the trip ends")
    return end


def _begun(read: Snapshot) -> int:
    """When what was used began: with the plan, else with the first device."""
    plan = read.book.plan
    first = min((one.created_at for one in read.book.devices.values()), default=read.now)
    begun = (plan.starts_at or plan.counted_from) if plan else 0
    return min(read.now, begun or first)


def _end(read: Snapshot, until: str | None) -> int | None:
    """The trip's end; ``None`` where it is not known or over."""
    plan = read.book.plan
    end = _until(until, read.now, plan.tz if plan else "UTC")
    expires = plan.expires_at if plan else None
    if end is None and expires is not None and expires > read.now:
        return expires
    return end


def _expected(found: Trip) -> dict[str, int] | None:
    if not found.foreseen:
        return None
    return {"low": found.low, "likely": found.likely, "high": found.high}


def _row(answer: Answer) -> OfferDocument:
    offer, bill = answer.offer, answer.bill
    return {
        "name": offer.name,
        "volume": offer.volume,
        "fair_use": offer.fair_use,
        "valid_s": offer.valid_s,
        "step": offer.step,
        "price": float(offer.price),
        "currency": offer.currency,
        "covers_used": answer.covers_used,
        "trip": str(answer.lasts),
        "packages": bill.packages,
        "top_ups": bill.top_ups,
        "cost": float(bill.amount),
        "cost_low": float(answer.least),
        "cost_high": float(answer.most),
        "step_counted": answer.stepped,
    }


def _draw(made: CompareDocument) -> "RenderableType":
    lines = [_basis(made)]
    if not all(one["step_counted"] for one in made["offers"]):
        lines.append("* rounding by session is not counted: nobody knows how many there were")
    return together(table(COLUMNS, map(_cells, made["offers"])), *map(note, lines))


def _basis(made: CompareDocument) -> str:
    used = f"{volume(made['used'])} used since {moment(made['since'])}"
    expected = made["expected"]
    if expected is None:
        few = f"a forecast needs {ENOUGH_H} hours of data, there are {made['hours_of_data']}"
        open_end = "nobody knows when the trip ends: name it with --until"
        why = few if made["hours_of_data"] < ENOUGH_H else open_end
        return f"{used}; costs are of that alone: {why}"
    low, likely, high = (volume(expected[one]) for one in ("low", "likely", "high"))
    return f"{used}; until {moment(made['until'])} {likely} are expected, {low} to {high}"


def _cells(row: OfferDocument) -> tuple[str, ...]:
    name = row["name"] if row["step_counted"] else f"{row['name']} *"
    fair = f", {volume(row['fair_use'])} a day fast" if row["fair_use"] else ""
    valid = format_duration(row["valid_s"]) if row["valid_s"] else "no end"
    far = "enough" if row["covers_used"] else "too little"
    bought = f"{row['packages']} x"
    if row["top_ups"]:
        bought += f" + {row['top_ups']} top-up{'s' if row['top_ups'] > 1 else ''}"
    low, high = _money(row["cost_low"]), _money(row["cost_high"])
    between = "-" if low == high else f"{low} to {high}"
    cost = f"{_money(row['cost'])} {row['currency']}"
    return name, volume(row["volume"]) + fair, valid, far, row["trip"], bought, cost, between


def _money(amount: float) -> str:
    return f"{Decimal(str(amount)):.2f}"
