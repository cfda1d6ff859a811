"""A drawing of who imports whom, and a table of the folders, read from the import statements."""

from __future__ import annotations

import ast
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from scripts.measure_house import ASIDE, ORDER, Arrow, arrows, is_allowed, modules, parse, unit, units

ROOT = Path(__file__).parents[2]
WIDE, HIGH, GAP, ROW = 112, 34, 24, 74
"""Of a box; between neighbours; from row to row, px."""
MIDDLE, SIDE = 200, 520
"""Of the order, and of what stands beside it, px from the left."""
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7"'
    ' orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="currentColor"/></marker></defs>'
)


class ImportDrawing(SphinxDirective):
    """``import-drawing``: folders as boxes, an arrow where one imports another; and what each is for."""

    def run(self) -> list[nodes.Node]:
        """Read the package, draw it, and warn of what is against the order."""
        every = arrows(ROOT)
        found = {arrow for arrow in every if {unit(module) for module in arrow} <= units()}
        for module, other in sorted(every):
            if (module, other) not in found or not is_allowed((module, other)):
                logging.getLogger(__name__).warning("%s imports %s: against the order", module, other)
        return [nodes.raw("", draw(found), format="html"), *self.parse_text_to_nodes(table(found))]


def between_folders(found: set[Arrow]) -> Counter[Arrow]:
    """How many modules of a folder import how many of another: one for each pair."""
    return Counter((unit(module), unit(other)) for module, other in found if unit(module) != unit(other))


def draw(found: set[Arrow]) -> str:
    """An SVG. What follows from other arrows is drawn faintly, so that the order is seen."""
    edges = between_folders(found)
    spots = places({folder for edge in edges for folder in edge})
    lines = {False: "", True: ""}
    for (folder, other), count in edges.items():
        direct = is_direct((folder, other), edges)
        (x, y), (to_x, to_y) = spots[folder], spots[other]
        y, to_y = y + HIGH / 2, to_y - HIGH / 2 - 2
        # Long ones swing out, or they would lie on one another.
        swing = 0 if direct else (to_y - y) / 5 * (-1 if to_x <= x else 1)
        bend = (to_y - y) / 2
        lines[direct] += (
            f'<path d="M{x:.0f} {y:.0f} C{x + swing:.0f} {y + bend:.0f} {to_x + swing:.0f} {to_y - bend:.0f}'
            f' {to_x:.0f} {to_y:.0f}" fill="none" stroke="currentColor"'
            f" {STRONG if direct else FAINT}><title>{folder} imports {other}: {count}</title></path>"
        )
    boxes = "".join(
        f'<g><title>{escape(purpose(folder))}</title><rect x="{x - WIDE / 2}" y="{y - HIGH / 2}" rx="6"'
        f' width="{WIDE}" height="{HIGH}" fill="var(--color-background-secondary, #f8f9fb)"'
        f' stroke="currentColor"/><text x="{x}" y="{y + 5}" text-anchor="middle">{folder}</text></g>'
        for folder, (x, y) in spots.items()
    )
    height = max(y for _, y in spots.values()) + HIGH
    return (
        f'<svg viewBox="0 0 {SIDE + WIDE // 2 + 4} {height:.0f}" role="img" aria-label="Who imports whom"'
        f' fill="currentColor" font-size="15" style="width: 100%; height: auto">'
        f"{HEAD}{lines[False]}{lines[True]}{boxes}</svg>"
    )


STRONG = 'stroke-width="1.4" opacity="0.8" marker-end="url(#head)"'
FAINT = 'stroke-width="0.8" opacity="0.15"'


def places(folders: set[str]) -> dict[str, tuple[float, float]]:
    """The middle of each box: the order from top to bottom; what stands beside it lower than its users."""
    rows = [sorted(row & folders) for row in reversed(ORDER) if row & folders]
    spots = {}
    for number, row in enumerate(rows):
        for place, folder in enumerate(row):
            x = MIDDLE + (place - (len(row) - 1) / 2) * (WIDE + GAP)
            spots[folder] = x, HIGH + number * ROW
    below = next(number for number, row in enumerate(rows) if "api" in row) + 1
    aside = sorted(folders & set(ASIDE), key=lambda folder: ("datasets" not in ASIDE[folder], folder))
    return spots | {folder: (SIDE, HIGH + (below + 2 * n) * ROW) for n, folder in enumerate(aside)}


def is_direct(edge: Arrow, edges: Counter[Arrow]) -> bool:
    """Whether an arrow says more than a way over other folders does."""
    waiting, seen = [edge[0]], set()
    while waiting:
        here = waiting.pop()
        onward = {other for folder, other in edges if folder == here and (folder, other) != edge} - seen
        seen |= onward
        waiting += onward
    return edge[1] not in seen


def purpose(folder: str) -> str:
    """The first line that a folder or module says of itself."""
    return (ast.get_docstring(parse(modules(ROOT)[folder])) or "").partition("\n")[0]


def table(found: set[Arrow]) -> str:
    """The folders in Markdown, the highest first."""
    known, edges = modules(ROOT), between_folders(found)
    lines = ["| folder | what for | files | lines | imports |", "|---|---|--:|--:|---|"]
    for folder in (name for row in (*reversed(ORDER), set(ASIDE)) for name in sorted(row)):
        own = [path for module, path in known.items() if unit(module) == folder]
        length = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own)
        others = ", ".join(sorted(other for here, other in edges if here == folder))
        lines.append(f"| `{folder}` | {purpose(folder)} | {len(own)} | {length:,} | {others} |")
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("import-drawing", ImportDrawing)
    return {"parallel_read_safe": True}
