"""``tripgate cap``: a volume per period on a device, a person or the plan."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from tripgate.cli.cells import bar, moment, volume
from tripgate.cli.command import Change, edit, now, show
from tripgate.cli.documents import CapDocument, cap_documents
from tripgate.cli.failure import Refused, usage
from tripgate.cli.names import target_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table
from tripgate.core.book import Book, clear_cap, parse_target, set_cap, target_label
from tripgate.core.model import Cap, Period
from tripgate.core.units import parse_cap, parse_period, parse_rate, parse_window

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "cap",
    "Caps: how much a device, a person or the plan may use per period.",
    "tripgate cap set phone 500MB/day",
)
Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="device:NAME, person:NAME or plan; a bare name while it is unambiguous.",
        autocompletion=target_names,
    ),
]
WARN_MOST = 8
WARN = "50,80,95"
COLUMNS = (
    Column("target"),
    Column("period"),
    Column("limit", figure=True),
    Column("used", figure=True),
    Column("left", figure=True),
    Column(""),
    Column("resets"),
    Column("state"),
)
TERMS = Column("terms")
PAST = {"block": "reached", "essentials": "essentials only"}


@app.command(
    "set",
    epilog=example(
        "tripgate cap set phone 500MB/day",
        "tripgate cap set plan 2GB/day --at-cap throttle:512kbit --except 01:00-06:00",
    ),
)
def set_(
    target: Target,
    amount: Annotated[
        str,
        typer.Argument(
            metavar="VOLUME/PERIOD",
            help="500MB/day, 1.5GB/week, 10GiB/month, 20GB/trip or 2GB/once.",
        ),
    ],
    at_cap: Annotated[
        str,
        typer.Option(
            "--at-cap",
            metavar="block|throttle:RATE|essentials",
            help="What happens at the cap: nothing moves, slowly, or only messages, maps and mail.",
        ),
    ] = "block",
    warn: Annotated[
        str, typer.Option("--warn", metavar="PERCENT,…", help="Warn at these levels.")
    ] = WARN,
    except_: Annotated[
        str | None,
        typer.Option(
            "--except",
            metavar="01:00-06:00",
            help="Hours that do not count, in the plan's zone; counting begins with this option.",
        ),
    ] = None,
    roll: Annotated[
        bool, typer.Option("--roll", metavar="", help="What a day leaves goes to the next days.")
    ] = False,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Set a cap in place of the one of that target and period, gifts included; works at once."""
    with usage("VOLUME/PERIOD"):
        limit, period = parse_cap(amount)
    with usage("--warn"):
        levels = parse_warn(warn)
    with usage("--at-cap"):
        action, rate = parse_action(at_cap)
    with usage("--except"):
        free = parse_window(except_) if except_ is not None else None
    if roll and (period is not Period.DAY or free):
        raise typer.BadParameter("only VOLUME/day without --except rolls", param_hint="--roll")
    at = now()

    def apply(book: Book) -> tuple[Book, str]:
        aim = parse_target(book, target)
        before = book.caps.get((aim, period))
        begun = before.created_at if before and before.roll == roll else at
        cap = Cap(aim, period, limit, action, levels, begun, rate, roll, free)
        return set_cap(book, cap), f"{target_label(book, aim)} {amount}"

    edit(
        state,
        Change("cap set", apply),
        lambda read: _of(cap_documents(read, parse_target(read.book, target)), period),
        lambda cap: caps_table([cap]),
        as_json=as_json,
    )


@app.command("list", epilog=example("tripgate cap list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """All caps, what is used and what is left."""
    show(state, cap_documents, _draw, as_json=as_json)


@app.command(
    "clear", epilog=example("tripgate cap clear phone day", "tripgate cap clear person:maria")
)
def clear(
    target: Target,
    period: Annotated[
        str | None,
        typer.Argument(metavar="PERIOD", help="day, week, month, trip or once; all if left out."),
    ] = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Remove the caps of a target; works at once. Prints the caps that it still has."""
    with usage("PERIOD"):
        which = parse_period(period) if period is not None else None

    def apply(book: Book) -> tuple[Book, str]:
        aim = parse_target(book, target)
        return clear_cap(book, aim, which), f"{target_label(book, aim)} {which or 'all'}"

    edit(
        state,
        Change("cap clear", apply),
        lambda read: cap_documents(read, parse_target(read.book, target)),
        _draw,
        as_json=as_json,
    )


def parse_warn(text: str) -> tuple[int, ...]:
    """``50,80,95``: 1 to 8 rising levels of 1 to 100 percent; ``none`` for no warning."""
    if text == "none":
        return ()
    parts = text.split(",", WARN_MOST)
    levels = tuple(int(part) for part in parts if re.fullmatch(r"[1-9][0-9]?|100", part))
    if len(levels) != len(parts) or len(parts) > WARN_MOST or sorted(set(levels)) != [*levels]:
        raise ValueError(
            f"'{text}' is not a list of rising percentages: 50,80,95 (1 to 100, at most "
            f"{WARN_MOST}), or none"
        )
    return levels


def parse_action(text: str) -> tuple[str, int | None]:
    """``block``, ``essentials`` or ``throttle:RATE``: the action, and bits per second."""
    action, colon, rate = text.partition(":")
    if action == "throttle" and colon:
        return action, parse_rate(rate)
    if text in ("block", "essentials"):
        return text, None
    raise ValueError(f"'{text[:40]}' is not an action: block, throttle:256kbit or essentials")


def _of(caps: list[CapDocument], period: Period) -> CapDocument:
    """The cap just set. Gone already: somebody cleared it in this moment."""
    for cap in caps:
        if cap["period"] == period:
            return cap
    raise Refused("the cap was set, and somebody else cleared it: tripgate audit shows who")


def _draw(caps: list[CapDocument]) -> "RenderableType":
    if not caps:
        return note("no caps: tripgate cap set TARGET 500MB/day sets one")
    return caps_table(caps)


def caps_table(caps: list[CapDocument]) -> "RenderableType":
    """One cap a line; a last column where one of them has terms that are not the usual ones."""
    terms = [_terms(cap) for cap in caps]
    if not any(terms):
        return table(COLUMNS, map(_row, caps))
    rows = ((*_row(cap), said or "-") for cap, said in zip(caps, terms, strict=True))
    return table((*COLUMNS, TERMS), rows)


def _terms(cap: CapDocument) -> str:
    """What of a cap differs from what ``cap set`` takes by itself."""
    warn = ",".join(map(str, cap["warn"]))
    said = (
        cap["action"] if cap["action"] != "block" else "",
        f"except {cap['except']}" if cap["except"] else "",
        "rolls" if cap["roll"] else "",
        "" if warn == WARN else f"warn {warn}" if warn else "no warning",
    )
    return ", ".join(filter(None, said))


def _given(gift: int) -> str:
    """What of a limit is not the cap's own."""
    if not gift:
        return ""
    return f" ({volume(abs(gift))} {'given' if gift > 0 else 'lent'})"


def _row(cap: CapDocument) -> tuple[str, ...]:
    return (
        cap["target"],
        cap["period"],
        f"{volume(cap['limit'])}{_given(cap['given'])}",
        volume(cap["used"]),
        volume(cap["remaining"]),
        bar(cap["used"], cap["limit"]),
        moment(cap["resets_at"]),
        PAST.get(cap["action"], "slowed") if cap["reached"] else "ok",
    )
