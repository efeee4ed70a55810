"""``tripgate person``: owners of devices."""

from typing import TYPE_CHECKING, Annotated

import typer

from tripgate.cli.cells import caps, volume
from tripgate.cli.command import Change, edit, now, show
from tripgate.cli.documents import PersonDocument, person_document, person_documents
from tripgate.cli.names import person_names
from tripgate.cli.options import Json, State, example, group
from tripgate.cli.output import Column, note, table
from tripgate.core.book import add_person, remove_person

if TYPE_CHECKING:
    from rich.console import RenderableType

app = group("person", "Owners of devices.", "tripgate person add maria")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Letters a-z, digits, hyphens; 1 to 32.")]
Known = Annotated[
    str, typer.Argument(metavar="NAME", help="The person.", autocompletion=person_names)
]
COLUMNS = (Column("person"), Column("devices"), Column("today", figure=True), Column("caps"))


@app.command("add", epilog=example("tripgate person add maria"))
def add(name: Name, state: State = None, as_json: Json = False) -> None:
    """Add a person."""
    at = now()
    change = Change("person add", lambda book: (add_person(book, name, at), name))
    edit(state, change, lambda read: person_document(read, name), _draw_one, as_json=as_json)


@app.command("list", epilog=example("tripgate person list"))
def list_(state: State = None, as_json: Json = False) -> None:
    """People, their devices and their caps."""
    show(state, person_documents, _draw, as_json=as_json)


@app.command("remove", epilog=example("tripgate person remove maria"))
def remove(name: Known, state: State = None, as_json: Json = False) -> None:
    """Remove a person who has no devices."""
    change = Change("person remove", lambda book: (remove_person(book, name), name), again=False)
    removed = {"removed": name}
    edit(state, change, lambda _: removed, lambda _: note(f"{name} is removed"), as_json=as_json)


def _draw_one(person: PersonDocument) -> "RenderableType":
    return _draw([person])


def _draw(people: list[PersonDocument]) -> "RenderableType":
    if not people:
        return note("no people yet: tripgate person add NAME")
    return table(
        COLUMNS,
        (
            (
                person["name"],
                " ".join(person["devices"]) or "-",
                volume(person["used_today"]),
                caps(person["caps"]),
            )
            for person in people
        ),
    )
