"""``tripgate plan forecast``: when the plan runs out at this pace, and what a day may take."""

from typing import TYPE_CHECKING, TypedDict

from tripgate.cli.cells import expiry, instant, moment, volume
from tripgate.cli.command import now, tell
from tripgate.cli.documents import plan_document, snapshot
from tripgate.cli.options import Json, State
from tripgate.cli.output import facts
from tripgate.cli.store import Store
from tripgate.core.forecast import ENOUGH_H, Forecast
from tripgate.core.model import Plan
from tripgate.outlook import outlook

if TYPE_CHECKING:
    from rich.console import RenderableType


class ForecastDocument(TypedDict):
    """``plan forecast``. Volumes in bytes; ``None``: open, or the plan lasts until it expires."""

    enough_data: bool
    hours_of_data: int
    per_day_now: int
    remaining: int | None
    expires_at: str | None
    exhausted_at: str | None
    earliest: str | None
    latest: str | None
    per_day_left: int | None
    per_person_per_day_left: int | None
    valid_s: int | None
    start: str


def show(state: State = None, as_json: Json = False) -> None:
    """When the plan runs out at the pace of the last seven days, and what a day may take."""
    tell(state, read, _draw, as_json=as_json)


async def read(store: Store) -> ForecastDocument:
    """The forecast from the ledger's hours."""
    at = now()
    seen = await snapshot(store, at)
    left = plan_document(seen)["remaining"]
    made = await outlook(store.ledger, seen.book, seen.tallies.seen, left, at)
    return _document(made, left, seen.book.plan or Plan())


def _document(made: Forecast, remaining: int | None, plan: Plan) -> ForecastDocument:
    return {
        "enough_data": made.enough,
        "hours_of_data": made.hours,
        "per_day_now": made.daily,
        "remaining": remaining,
        "expires_at": instant(plan.expires_at),
        "exhausted_at": instant(made.exhausted_at),
        "earliest": instant(made.earliest),
        "latest": instant(made.latest),
        "per_day_left": made.per_day,
        "per_person_per_day_left": made.per_person,
        "valid_s": plan.valid_s,
        "start": plan.start,
    }


def _draw(made: ForecastDocument) -> "RenderableType":
    few = f"not known yet: {made['hours_of_data']} of the {ENOUGH_H} hours of use that it takes"
    lasts = "not before it expires" if made["valid_s"] else "not in sight"
    end = moment(made["exhausted_at"]) if made["exhausted_at"] else lasts
    between = [moment(one) if one else lasts for one in (made["earliest"], made["latest"])]
    return facts(
        [
            ("runs out", end if made["enough_data"] else few),
            ("between", " and ".join(between) if made["enough_data"] else "-"),
            ("a day now", volume(made["per_day_now"])),
            ("left", volume(made["remaining"])),
            ("a day left", _open(made["per_day_left"])),
            ("per person", _open(made["per_person_per_day_left"])),
            ("expires", expiry(made["expires_at"], made["valid_s"], made["start"])),
        ]
    )


def _open(size: int | None) -> str:
    return "-" if size is None else volume(size)
