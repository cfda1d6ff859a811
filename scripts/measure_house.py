"""The shape of the package, in figures: lines, files, lengths, names that stand twice, who imports whom.

    python scripts/measure_house.py [TREE] [--moves FILE]

TREE holds the folder `mmdream`; left out, it is this one. FILE tells where the modules of another tree belong
in this one, `old.module ... -> new.module` a line: its arrows are judged as if it had been moved already.

Lines are those of the files, blank ones, comments and docstrings included. The body of a function is all that
stands behind its docstring, down to its last line, blank lines, comments and functions within it included.
Parameters are counted without self and cls; the command line is `cli` (once the loose modules `cli*`,
`options*` and `films`). Imports count wherever they stand: late ones, and those that only type checkers see,
are arrows too. `tests/test_layers.py` and the drawing in the documentation read imports by these functions.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "mmdream"

ORDER = (
    {"core"},
    {"settings"},
    {"media", "networks"},
    {"ascent", "prompts"},
    {"image", "audio"},
    {"analysis"},
    {"render"},
    {"views", "planning", "classify"},
    {"jobs"},
    {"cluster"},
    {"api"},
    {"cli", "web"},
    {"studio"},
    {"live"},
    {"__main__"},
)
"""Folders and modules of the package, lowest first. A row may import the rows below it, and neighbours in a
row know nothing of each other."""

ASIDE = {
    "sample": {"media", "audio", "core"},
    "datasets": {"media", "core", "views.canvas"},
    "training": {"datasets", "render", *(unit for row in ORDER[:6] for unit in row)},
    "generators": {"training", "datasets", "render", *(unit for row in ORDER[:6] for unit in row)},
}
"""What stands beside the order, and what it may import; `api` and `cli` may import it."""

WITHOUT = {"image": {"media"}, "audio": {"media"}}
"""What a folder must do without although it lies lower: codecs."""

CANVAS = "views.canvas"
"""The one module that imports `core` alone: pictures and their lettering, for data sets too."""

LIMITS = {"lines": 350, "body": 60, "parameters": 12}
"""Of a file, of a function's body, of a function outside the command line; what is beyond is listed."""

Arrow = tuple[str, str]
"""Who imports, and whom: modules, dotted, without the package's name."""


@dataclass(frozen=True)
class Function:
    """A function or method as its source has it."""

    module: str
    name: str
    body: int
    """Lines behind the docstring."""
    parameters: int
    """Without self and cls."""


def modules(tree: Path) -> dict[str, Path]:
    """The modules of the package in a tree by their dotted names, without its own; "" is its __init__."""
    found = {}
    for path in sorted((tree / PACKAGE).rglob("*.py")):
        parts = path.relative_to(tree / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(path: Path) -> Iterator[str]:
    """Every module or name that a file imports, dotted, wherever the statement stands."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports by full name are easier to follow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(tree: Path) -> set[Arrow]:
    """Which module of the package imports which, by the import statements.

    The package's own __init__ imports nothing: it names the public things and loads them on first use. Who
    imports one of them from there imports the module that holds it.
    """
    known = modules(tree)
    public = {name.rsplit(".", 1)[1]: name for name in imported_names(known[""]) if name.startswith(PACKAGE)}
    found = set()
    for module in known.keys() - {""}:
        for name in imported_names(known[module]):
            first, _, rest = name.partition(".")
            if first != PACKAGE:
                continue
            if rest in public:
                rest = public[rest].partition(".")[2]
            while rest not in known:
                rest = rest.rpartition(".")[0]
            if rest not in ("", module):
                found.add((module, rest))
    return found


def unit(module: str) -> str:
    """The folder that a module lies in, or itself at the top."""
    return module.partition(".")[0]


def units() -> set[str]:
    """Every folder and module that the order names."""
    return set(ASIDE).union(*ORDER)


def is_allowed(arrow: Arrow) -> bool:
    """Whether one module may import another by the order."""
    module, other = arrow
    here, there = unit(module), unit(other)
    if module == CANVAS:
        return there == "core"
    if here == there:
        return True
    if here in ASIDE:
        return bool({there, other} & ASIDE[here])
    row = {each: number for number, each_row in enumerate(ORDER) for each in each_row}
    if there in ASIDE:
        return row[here] >= row["api"]
    return row[there] < row[here] and there not in WITHOUT.get(here, ())


def cycles(found: Iterable[Arrow]) -> list[set[str]]:
    """Groups of modules that all lead to one another, the largest first."""
    onward: dict[str, set[str]] = {}
    for module, other in found:
        onward.setdefault(module, set()).add(other)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = onward.get(waiting.pop(), set()) - seen
            seen |= new
            waiting += new
        return seen

    reach = {module: reachable(module) for module in onward}
    groups = {
        frozenset(other for other in reach[module] if module in reach.get(other, ()))
        for module in onward
        if module in reach[module]
    }
    return sorted(map(set, groups), key=len, reverse=True)


def class_homes(tree: Path) -> dict[str, list[str]]:
    """The modules in which each class name stands, once for each class that has it."""
    homes: dict[str, list[str]] = {}
    for module, path in modules(tree).items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module)
    return homes


def functions(tree: Path) -> Iterator[Function]:
    """Every function of the package, those within others too."""
    for module, path in modules(tree).items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = node.body[1:] if ast.get_docstring(node) is not None else node.body
                length = (own[-1].end_lineno or 0) - own[0].lineno + 1 if own else 0
                given = node.args
                names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                names += [each.arg for each in (given.vararg, given.kwarg) if each is not None]
                yield Function(module, node.name, length, len([n for n in names if n not in ("self", "cls")]))


def is_command_line(module: str) -> bool:
    """Whether a module belongs to the command line, in this tree or in the one before."""
    here = unit(module)
    return here == "films" or here.startswith(("cli", "options"))


def move_arrows(found: set[Arrow], file: Path) -> set[Arrow]:
    """The arrows of another tree as they run when its modules lie where a file says."""
    homes = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if "->" in line and not line.startswith("#"):
            old, new = line.split("->")
            homes |= dict.fromkeys(old.split(), new.strip())
    arrows_there = {(homes.get(module, module), homes.get(other, other)) for module, other in found}
    return {(module, other) for module, other in arrows_there if module != other}


def main() -> None:
    """Print the figures of a tree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--moves", type=Path, help="where the modules of that tree belong in this one")
    args = parser.parse_args()
    known = modules(args.tree)
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in known.items()}
    folders = Counter(path.parent.relative_to(args.tree).as_posix() for path in known.values())
    all_functions = list(functions(args.tree))
    bodies = max(all_functions, key=lambda each: each.body)
    wide = max(all_functions, key=lambda each: each.parameters)
    inner = [each for each in all_functions if not is_command_line(each.module)]
    wide_inner = max(inner, key=lambda each: each.parameters)
    longest = max(lines, key=lambda module: lines[module])
    folder, count = folders.most_common(1)[0]
    found = arrows(args.tree)
    if args.moves is not None:
        found = move_arrows(found, args.moves)
    placed = {arrow for arrow in found if set(map(unit, arrow)) <= units()}
    against = sorted(arrow for arrow in placed if not is_allowed(arrow))
    rings = cycles(found)
    twice = {name: homes for name, homes in class_homes(args.tree).items() if len(homes) > 1}
    print(f"lines                       {sum(lines.values()):,}")
    print(f"files                       {len(known)}")
    print(f"largest folder              {count} files: {folder}")
    print(f"longest file                {lines[longest]} lines: {longest}")
    for module in sorted(lines, key=lambda module: -lines[module]):
        if lines[module] > LIMITS["lines"] and module != longest:
            print(f"    {lines[module]}: {module}")
    print(f"longest body, no docstring  {bodies.body} lines: {bodies.module}.{bodies.name}")
    for each in sorted(all_functions, key=lambda each: -each.body):
        if each.body > LIMITS["body"] and each != bodies:
            print(f"    {each.body}: {each.module}.{each.name}")
    print(f"most parameters             {wide.parameters}: {wide.module}.{wide.name}")
    print(f"  outside the command line  {wide_inner.parameters}: {wide_inner.module}.{wide_inner.name}")
    for each in sorted(inner, key=lambda each: -each.parameters):
        if each.parameters > LIMITS["parameters"] and each != wide_inner:
            print(f"    {each.parameters}: {each.module}.{each.name}")
    print(f"class names that stand twice  {len(twice)}")
    for name, homes in sorted(twice.items()):
        print(f"    {name}: {', '.join(homes)}")
    print(f"import cycles               {len(rings)}")
    for ring in rings:
        print(f"    {', '.join(sorted(ring))}")
    print(f"arrows                      {len(found)}, {len(found - placed)} of them outside the order")
    print(f"arrows against the order    {len(against)}")
    for module, other in against:
        print(f"    {module} -> {other}")


if __name__ == "__main__":
    main()
