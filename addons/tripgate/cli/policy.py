"""``tripgate policy``: what is paused, allowed or slowed, for whom, and when."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from tripgate import catalogue
from tripgate.cli.cells import instant, moment, volume
from tripgate.cli.command import Change, commit, edit, now, tell
from tripgate.cli.control import ask
from tripgate.cli.documents import Snapshot, snapshot
from tripgate.cli.failure import usage
from tripgate.cli.names import target_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table
from tripgate.cli.store import Store
from tripgate.cli.when import parse_instant
from tripgate.core import heldback
from tripgate.core.book import Book, parse_target, target_label
from tripgate.core.heldback import Held
from tripgate.core.model import PLAN
from tripgate.core.policy import Policy, Verb, over
from tripgate.core.policybook import PRESETS, clear_policy, set_policy, set_preset
from tripgate.core.units import (
    UnitError,
    format_rate,
    format_window,
    parse_duration,
    parse_rate,
    parse_window,
)
from tripgate.outlook import estimates
from tripgate.statefind import find

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group(
    "policy",
    "Policies: pause, allow or slow a service or a category.",
    "tripgate policy pause os-update --until unmetered",
)
What = Annotated[
    str, typer.Argument(metavar="WHAT", help="A category (os-update), a service (icloud), or all.")
]
For = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="TARGET", help="For whom; for all if left out.",
        autocompletion=target_names,
    ),
]  # fmt: skip
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="2h|ISO|unmetered", help="When it ends; never if left out."),
]
Daily = Annotated[
    str | None,
    typer.Option("--daily", metavar="22:00-07:00", help="Only in these hours, in the plan's zone."),
]
COLUMNS = (
    Column("id"),
    Column("policy"),
    Column("for"),
    Column("until"),
    Column("hours"),
    Column("held back", figure=True),
    Column("saved, about", figure=True),
    Column("hosts"),
)
HOSTS_SHOWN = 3


class PolicyDocument(TypedDict):
    """A row of ``policy list``. ``attempts`` and ``hosts`` are what was held back; ``saved`` is the
    estimate in bytes (:mod:`tripgate.core.heldback`), None where there is no past to go by."""

    id: str
    verb: str
    what: str
    target: str
    rate: int | None
    until: str | None
    daily: str | None
    preset: str | None
    created_at: str | None
    attempts: int
    hosts: list[str]
    saved: int | None


@app.command(
    "pause",
    epilog=example(
        "tripgate policy pause os-update --until unmetered",
        "tripgate policy pause cloud-sync --for maria --daily 08:00-20:00",
    ),
)
def pause(
    what: What, for_: For = None, until: Until = None, daily: Daily = None,
    state: State = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Let no new connection of a service or category through, and cut the open ones."""
    _set(Verb.PAUSE, what, for_, until, daily, None, state, as_json=as_json)


@app.command(
    "allow", epilog=example("tripgate policy allow icloud-mail --for device:phone --until 2h")
)
def allow(
    what: What, for_: For = None, until: Until = None, daily: Daily = None,
    state: State = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Make an exception from a wider pause or throttle. No exception lifts a cap."""
    _set(Verb.ALLOW, what, for_, until, daily, None, state, as_json=as_json)


@app.command("throttle", epilog=example("tripgate policy throttle video --rate 500kbit"))
def throttle(
    what: What,
    rate: Annotated[str, typer.Option("--rate", metavar="RATE", help="512kbit or 5Mbit.")],
    for_: For = None, until: Until = None, daily: Daily = None,
    state: State = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Slow a service or category down."""
    with usage("--rate"):
        bits = parse_rate(rate)
    _set(Verb.THROTTLE, what, for_, until, daily, bits, state, as_json=as_json)


@app.command("list", epilog=example("tripgate policy list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """All policies, and what each has held back."""
    _present(state, None, as_json=as_json)


@app.command("clear", epilog=example("tripgate policy clear p1"))
def clear(
    policy_id: Annotated[str, typer.Argument(metavar="ID", help="As in policy list.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Remove a policy; works at once. Prints those that stay."""
    change = Change("policy clear", lambda book: (clear_policy(book, policy_id), policy_id), False)
    _present(state, change, as_json=as_json)


@app.command("preset", epilog=example("tripgate policy preset travel"))
def preset(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{', '.join(PRESETS)} or none.")],
    state: State = None,
    as_json: Json = False,
) -> None:
    """Pause updates, app stores, cloud sync, telemetry and games until the uplink is unmetered."""
    if name not in (*PRESETS, "none"):
        raise typer.BadParameter(
            f"'{name[:40]}' is no preset: {', '.join(PRESETS)} or none", param_hint="NAME"
        )
    at = now()
    change = Change("policy preset", lambda book: (set_preset(book, name, at), name))
    _present(state, change, as_json=as_json)


def _set(
    verb: Verb, what: str, for_: str | None, until: str | None, daily: str | None,
    rate: int | None, state: Path | None, *, as_json: bool,
) -> None:  # fmt: skip
    thing = catalogue.load(find(state).path).thing(what)
    if thing is None:
        raise typer.BadParameter(
            f"'{what[:40]}' is no category and no service: os-update, cloud-sync, video, icloud, …",
            param_hint="WHAT",
        )
    with usage("--daily"):
        window = parse_window(daily) if daily is not None else None
    at = now()
    with usage("--until"):
        parse_until(until, 0, "UTC")  # its form; what is past depends on the plan's zone

    def apply(book: Book) -> tuple[Book, str]:
        target = parse_target(book, for_) if for_ else PLAN
        with usage("--until"):
            end = parse_until(until, at, book.plan.tz if book.plan else "UTC")
        made = Policy(
            "", verb, thing, target, rate, end, until == "unmetered", window, "", at,
        )  # fmt: skip
        return set_policy(book, made), f"{verb} {thing} for {target_label(book, target)}"

    edit(
        state,
        Change(f"policy {verb}", apply),
        lambda read: policy_document(read.book, read.book.policies[-1], Held()),
        lambda document: _draw([document]),
        as_json=as_json,
    )


def parse_until(text: str | None, at: int, zone: str) -> int | None:
    """``2h`` from ``at``, or an instant; ``None`` where the clock does not end it."""
    if text is None or text == "unmetered":
        return None
    try:
        return at + parse_duration(text)
    except UnitError:
        pass
    try:
        end = parse_instant(text, zone)
    except ValueError:
        raise ValueError(
            f"'{text[:40]}' is no end: write 2h, 2026-05-01T09:00 or unmetered"
        ) from None
    if end <= at:
        raise ValueError(f"'{text[:40]}' is in the past")
    return end


def policy_document(
    book: Book, policy: Policy, held: Held, saved: int | None = None
) -> PolicyDocument:
    until = "unmetered" if policy.until_unmetered else instant(policy.until)
    return {
        "id": policy.id,
        "verb": str(policy.verb),
        "what": policy.what,
        "target": target_label(book, policy.target),
        "rate": policy.rate,
        "until": until,
        "daily": format_window(policy.daily) if policy.daily else None,
        "preset": policy.preset or None,
        "created_at": instant(policy.created_at),
        "attempts": held.attempts,
        "hosts": sorted(held.hosts, key=lambda host: (-held.hosts[host], host)),
        "saved": saved,
    }


def _present(state: Path | None, change: Change | None, *, as_json: bool) -> None:
    """Apply the change, if there is one, and print all policies that are not over."""

    async def work(store: Store) -> list[PolicyDocument]:
        if change:
            await commit(store.registry, change, now())
        return await _documents(store, await snapshot(store, now()), pending(state))

    tell(state, work, _draw, as_json=as_json)


async def _documents(
    store: Store, read: Snapshot, counts: Mapping[str, Any]
) -> list[PolicyDocument]:
    standing = [one for one in read.book.policies if not (read.trusted and over(one, read.now))]
    kept = await store.ledger.buckets([heldback.bucket(one) for one in standing])
    saved = await estimates(store.ledger, read.book, standing, read.tallies.seen, read.now)
    made = []
    for policy, fields in zip(standing, kept, strict=True):
        held, fresh = heldback.read(fields), counts.get(policy.id, {})
        held.attempts += int(fresh.get("attempts", 0))
        held.hosts.update(map(str, fresh.get("hosts", ())))
        made.append(policy_document(read.book, policy, held, saved[policy.id]))
    return made


def pending(state: Path | None) -> Mapping[str, Any]:
    """What each policy has held back and is not in the ledger yet, as the live gateway says."""
    status = ask(find(state).control_socket) or {}
    found = status.get("held", {})
    return found if isinstance(found, dict) else {}


def _draw(policies: list[PolicyDocument]) -> "RenderableType":
    if not policies:
        return note("no policies: tripgate policy preset travel pauses what can wait")
    return table(COLUMNS, map(_row, policies))


def _row(policy: PolicyDocument) -> tuple[str, ...]:
    rate = f" at {format_rate(policy['rate'])}" if policy["rate"] else ""
    until = policy["until"]
    more = len(policy["hosts"]) - HOSTS_SHOWN
    hosts = " ".join(policy["hosts"][:HOSTS_SHOWN]) + (f" +{more}" if more > 0 else "")
    return (
        policy["id"],
        f"{policy['verb']} {policy['what']}{rate}",
        "all" if policy["target"] == "plan" else policy["target"],
        until if until == "unmetered" else moment(until),
        policy["daily"] or "always",
        str(policy["attempts"]),
        "-" if policy["saved"] is None else volume(policy["saved"]),
        hosts or "-",
    )
