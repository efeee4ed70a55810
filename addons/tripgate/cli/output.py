"""Everything that is written: JSON for programs, cleaned text and tables for people.

Rules
1. JSON is ASCII, one document, no raw control character in it.
2. Text for people passes ``clean``: what is not printable (control characters, escape sequences,
   direction overrides, line ends) is shown as an escape, and length is capped.
3. Colour, bars of blocks and live tables only on a terminal; elsewhere plain lines of any width.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

TEXT_MOST = 300
LINE_MOST = 1000
PLAIN_WIDTH = 400


def clean(text: str, most: int = TEXT_MOST) -> str:
    """``text`` safe for a terminal: unprintable characters escaped, at most ``most`` of them."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def complain(line: str) -> None:
    """One line on stderr."""
    print(f"tripgate: {clean(line, LINE_MOST)}", file=sys.stderr)


def print_json(document: object) -> None:
    """One JSON document on stdout. DEL is the one control character that ``json`` leaves raw."""
    print(json.dumps(document, indent=2).replace("\x7f", "\\u007f"))


def console() -> "Console":
    """Where text for people goes; made for each command so that it sees today's stdout."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, emoji=False, markup=False)


def say(line: str) -> None:
    """One line of text on stdout."""
    print(clean(line, LINE_MOST))


def put(drawn: "RenderableType") -> None:
    """Print a table or text; elsewhere than on a terminal without spaces at the end of lines."""
    screen = console()
    if screen.is_terminal:
        screen.print(drawn)
        return
    with screen.capture() as capture:
        screen.print(drawn)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; figures are set to the right."""

    heading: str
    figure: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> "Table":
    """An aligned table without lines; cells are cleaned here."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column.heading, justify="right" if column.figure else "left")
    for row in rows:
        made.add_row(*(Text(clean(cell), style=_style(cell)) for cell in row))
    return made


STYLES = {
    **dict.fromkeys(("ok", "approved"), "green"),
    **dict.fromkeys(("warn", "pending", "slowed", "essentials only"), "yellow"),
    **dict.fromkeys(("fail", "blocked", "reached", "down", "untrusted"), "red"),
}


def _style(cell: str) -> str:
    return STYLES.get(cell, "")


def together(*parts: "RenderableType") -> "RenderableType":
    """One below the other."""
    from rich.console import Group

    return Group(*parts)


def note(line: str) -> "Text":
    """A line in place of a table."""
    from rich.text import Text

    return Text(clean(line, LINE_MOST))


def listing(text: str) -> "Text":
    """The lines of a file, as they are but for what a terminal would obey."""
    from rich.text import Text

    return Text("\n".join(clean(line, LINE_MOST) for line in text.splitlines()), overflow="fold")


def facts(rows: Iterable[tuple[str, str]]) -> "Table":
    """Names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2, 0, 0))
    for name, value in rows:
        made.add_row(Text(name, style="bold"), Text(clean(value), style=_style(value)))
    return made
