"""``tripgate plan``: the bought data, its volume and how long it lasts."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from tripgate.cli import compare, forecast
from tripgate.cli.cells import bar, expiry, instant, moment, volume
from tripgate.cli.command import Change, edit, now, show
from tripgate.cli.documents import PlanDocument, Snapshot, last_plan, plan_document, plan_documents
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, facts, table
from tripgate.cli.when import parse_instant
from tripgate.core.book import Book
from tripgate.core.model import PLAN, Plan
from tripgate.core.period import carry
from tripgate.core.planbook import chosen, in_force, put, queue_plan, remove, wait_for_use
from tripgate.core.units import format_duration, parse_duration, parse_volume
from tripgate.core.uplinks import valid_uplink

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "plan",
    "The bought data: volume, validity, price, time zone.",
    "tripgate plan set --volume 10GB --valid 30d",
)
PRICE_MOST = 40


@dataclass(frozen=True, slots=True)
class Size:
    """A volume of the plan; ``None`` is unlimited."""

    volume: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """When the plan begins: ``now``, ``first-use``, or an instant as it was written."""

    text: str

    def apply(self, plan: Plan, at: int) -> Plan:
        if self.text == "first-use":
            return wait_for_use(plan, at)
        if self.text == "now":
            return replace(plan, start="now", starts_at=at, counts_from=None)
        begins = parse_instant(self.text, plan.tz)
        return replace(plan, start="at", starts_at=begins, counts_from=None)


def parse_size(text: str) -> Size:
    return Size(None if text == "unlimited" else parse_volume(text))


def parse_start(text: str) -> Start:
    if text not in ("now", "first-use"):
        parse_instant(text, "UTC")
    return Start(text)


def parse_uplink(text: str) -> str:
    """The name of an interface, or ``any``."""
    if not valid_uplink(text):
        raise ValueError(f"{text[:40]!r} is no interface: write one like wwan0, or any")
    return text


def parse_zone(text: str) -> str:
    """An IANA name that this machine knows."""
    try:
        ZoneInfo(text)
    except (ValueError, KeyError, OSError):
        raise ValueError(
            f"{text[:40]!r} is no time zone: write one like Europe/Lisbon or UTC"
        ) from None
    return text


def parse_price(text: str) -> str:
    """Free text of a person, for people."""
    if not text.strip() or len(text) > PRICE_MOST or not text.isprintable():
        raise ValueError(f'a price is a short text like "25 USD" (at most {PRICE_MOST} characters)')
    return text.strip()


@app.command(
    "set",
    epilog=example(
        'tripgate plan set --volume 10GB --valid 30d --tz Europe/Lisbon --price "25 USD"',
        "tripgate plan set --start 2026-05-01T09:00",
    ),
)
def set_(
    size: Annotated[
        Size | None,
        typer.Option("--volume", parser=parse_size, metavar="VOLUME", help="10GB or unlimited."),
    ] = None,
    valid: Annotated[
        int | None,
        typer.Option("--valid", parser=parse_duration, metavar="DURATION", help="30d, 12h."),
    ] = None,
    start: Annotated[
        Start | None,
        typer.Option(
            "--start",
            parser=parse_start,
            metavar="now|first-use|ISO",
            help="When it begins; the first plan begins now.",
        ),
    ] = None,
    day: Annotated[
        Literal["calendar", "24h"] | None,
        typer.Option("--day", help="A day ends at midnight, or 24 h after the start."),
    ] = None,
    billing_day: Annotated[
        int | None,
        typer.Option("--billing-day", metavar="N", min=1, max=31, help="First day of a month."),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option("--price", parser=parse_price, metavar="TEXT", help='What it cost: "25 USD".'),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option("--tz", parser=parse_zone, metavar="ZONE", help="As in Europe/Lisbon."),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option("--step", parser=parse_volume, metavar="VOLUME", help="Billing step: 1kB."),
    ] = None,
    unit: Annotated[
        Literal["GB", "GiB"] | None,
        typer.Option("--unit", help="What the seller's gigabyte means."),
    ] = None,
    uplink: Annotated[
        str | None,
        typer.Option(
            "--uplink",
            parser=parse_uplink,
            metavar="NAME|any",
            help="Whose plan: of this uplink alone; alone, ties the plan to it.",
        ),
    ] = None,
    next_: Annotated[
        bool, typer.Option("--next", metavar="", help="A further plan: it begins at the end.")
    ] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Set the plan, or change what is named of it. A new start begins the trip's count anew.

    With --uplink, the plan that this uplink has for itself, with a count of its own.
    """
    given: dict[str, Any] = {
        "valid_s": valid,
        "day": day,
        "billing_day": billing_day,
        "price": price,
        "tz": tz,
        "step": step,
        "unit": unit,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    bind = bool(uplink) and not fields and not size and not start
    own = None if uplink == "any" else uplink
    if uplink:
        fields["uplink"] = own
    if size:
        fields["volume"] = size.volume
    if not fields and not start:
        raise typer.BadParameter("name what to set, e.g. --volume 10GB", param_hint="plan set")
    if next_ and start:
        raise typer.BadParameter("a next plan begins at the end of the last", param_hint="--start")
    at = now()

    def apply(book: Book) -> tuple[Book, str]:
        if next_:
            before = in_force(book).get(chosen(book, own, bind=True), Plan())
            base = Plan(tz=before.tz, step=before.step, unit=before.unit, uplink=before.uplink)
            following = replace(base, start="next", **fields)
            return queue_plan(book, following), f"next: {_detail(following)}"
        target = chosen(book, own, bind=bind)
        new = Plan(tz=(book.plan or Plan()).tz, starts_at=at)
        plan = replace(in_force(book).get(target, new), **fields)
        plan = start.apply(plan, at) if start else plan
        if target in in_force(book) or (target == PLAN and book.caps):  # else nothing runs yet
            plan = carry(in_force(book).get(target), plan, at)
        return put(book, target, plan), _detail(plan)

    change = Change("plan set", apply, again=not next_)
    edit(state, change, last_plan if next_ else partial(_named, own), _draw, as_json=as_json)


@app.command("remove", epilog=example("tripgate plan remove wlan1"))
def remove_(
    uplink: Annotated[str, typer.Argument(metavar="UPLINK", help="As `plan list` names it.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Take away the plan that an uplink has for itself; what was used stays counted."""
    change = Change("plan remove", lambda book: (remove(book, uplink), uplink))
    edit(state, change, plan_documents, _draw_all, as_json=as_json)


@app.command("list", epilog=example("tripgate plan list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """The plan in force and those of uplinks, each with those that follow, in their order."""
    show(state, plan_documents, _draw_all, as_json=as_json)


@app.command("show", epilog=example("tripgate plan show", "tripgate plan show --uplink wlan1"))
def show_(
    uplink: Annotated[
        str | None, typer.Option("--uplink", metavar="NAME", help="An uplink's own plan.")
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """The plan, what is used of it as its seller bills, and what is left."""
    show(state, partial(_named, uplink), _draw, as_json=as_json)


def _named(uplink: str | None, read: Snapshot) -> PlanDocument:
    """The uplink's own plan, where it has one."""
    return plan_document(read, chosen(read.book, uplink, bind=True))


app.command("forecast", epilog=example("tripgate plan forecast"))(forecast.show)
app.command("compare", epilog=compare.EPILOG)(compare.show)


def _draw_all(plans: list[PlanDocument]) -> "RenderableType":
    columns = (
        Column("uplink"),
        Column("volume"),
        Column("used", figure=True),
        Column("starts"),
        Column("expires"),
    )
    return table(columns, map(_row, plans))


def _row(plan: PlanDocument) -> tuple[str, ...]:
    unit = plan["unit"]
    sizes = (volume(plan["volume"], unit), volume(plan["used"], unit))
    return plan["uplink"] or "any", *sizes, _begins(plan), _expires(plan)


def _begins(plan: PlanDocument) -> str:
    if plan["starts_at"]:
        return moment(plan["starts_at"])
    return STARTS.get(plan["start"], "not set")


def _expires(plan: PlanDocument) -> str:
    return expiry(plan["expires_at"], plan["valid_s"], plan["start"])


def _detail(plan: Plan) -> str:
    """The whole plan in the audit, so that the line stands alone."""
    length = f"valid {format_duration(plan.valid_s)}" if plan.valid_s else "valid without end"
    begins = instant(plan.starts_at) or plan.start
    month = f"month from day {plan.billing_day}"
    size = volume(plan.volume, plan.unit)
    rest = [f"step {volume(plan.step)}"] if plan.step > 1 else []
    rest += [f"on {plan.uplink} alone"] if plan.uplink else []
    return ", ".join([size, length, f"start {begins}", f"{plan.day} days", month, plan.tz, *rest])


STARTS = {"first-use": "with the first use", "next": "at the end of the one before"}
UNTRUSTED = "not trusted: no day, week or month ends until it is set"


def _draw(plan: PlanDocument) -> "RenderableType":
    size, unit = plan["volume"], plan["unit"]
    full = f"  {bar(plan['used'], size)}" if size is not None else ""
    rows = [
        ("volume", volume(size, unit)),
        ("used", volume(plan["used"], unit) + full),
        ("left", volume(plan["remaining"], unit)),
        ("starts", _begins(plan)),
        ("expires", _expires(plan)),
        ("pace", _pace(plan)),
        ("day", f"{plan['day']}, {plan['tz']}; month from day {plan['billing_day']}"),
        ("billing", f"step {volume(plan['step'])}, in {plan['unit']}"),
        ("uplink", plan["uplink"] or "any"),
        ("price", plan["price"] or "-"),
    ]
    if plan["clock"] == "untrusted":
        rows.append(("clock", UNTRUSTED))
    return facts(rows)


def _pace(plan: PlanDocument) -> str:
    """On track or not, and what a day may take from now."""
    if plan["pace"] is None:
        return "-"
    sign = "on track" if plan["pace"] <= 1 else "too fast"
    daily = (
        f", {volume(plan['per_day'], plan['unit'])} a day from now"
        if plan["per_day"] is not None
        else ""
    )
    return f"{plan['pace']:.2f} ({sign}{daily})"
