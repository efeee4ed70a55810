"""Draw a flame graph of the relay's turns from collapsed stacks.

    py-spy record -F -f raw -r 250 -o STACKS --pid PID     while the load runs
    python -m tests.bench.flame STACKS >docs/pictures/relay-flame.svg

Only what runs below ``Engine._turn`` is drawn; the picture has no script and no paths of a machine.
"""

import re
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = "_turn (tripgate/proxy/relay/engine.py"
WIDTH, ROW, LEAST, LETTER = 1200, 18, 3.0, 6.6
COLOURS = ("#f6c667", "#f0a35e", "#e8825a", "#f4b860")

Tree = dict[str, "Node"]


class Node:
    """A function below its callers, and its samples."""

    def __init__(self) -> None:
        self.samples = 0
        self.below: Tree = {}

    def add(self, stack: list[str], samples: int) -> None:
        self.samples += samples
        if stack:
            self.below.setdefault(stack[0], Node()).add(stack[1:], samples)

    @property
    def depth(self) -> int:
        return 1 + max((node.depth for node in self.below.values()), default=0)


def read(lines: list[str]) -> Node:
    """The samples below ``ROOT``."""
    root = Node()
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        at = next((place for place, name in enumerate(frames) if ROOT in name), None)
        if at is not None:
            names = [re.sub(r" \((.*/)?([^/:]+?)(\.py)?(:\d+)?\)$", r" · \2", f) for f in frames]
            root.add(names[at + 1 :], int(samples))
    return root


def boxes(node: Node, x: float, row: int, whole: int) -> Iterator[str]:
    for place, (name, below) in enumerate(sorted(node.below.items())):
        width = below.samples / whole * WIDTH
        if width >= LEAST:
            share = f"{name}, {below.samples / whole:.1%}"
            shown = name if len(name) * LETTER < width else name[: max(0, int(width / LETTER) - 1)]
            yield (
                f'<g><title>{escape(share)}</title><rect x="{x:.1f}" y="{row * ROW}" '
                f'width="{width - 0.5:.1f}" height="{ROW - 1}" fill="{COLOURS[place % 4]}"/>'
                f'<text x="{x + 3:.1f}" y="{row * ROW + 13}">{escape(shown)}</text></g>'
            )
            yield from boxes(below, x, row + 1, whole)
        x += width


def draw(root: Node) -> str:
    """The picture; the functions that are called stand below their callers."""
    height = root.depth * ROW
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="monospace" font-size="11">',
            f'<rect width="{WIDTH}" height="{height}" fill="#fffdf8"/>',
            f'<text x="3" y="13">Engine._turn: {root.samples} samples</text>',
            *boxes(root, 0, 1, root.samples),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(draw(read(Path(sys.argv[1]).read_text().splitlines())))
