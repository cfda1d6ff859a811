"""Who imports whom: downwards only. The import statements themselves are read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mmdream"

ROWS = (
    {"homes"},
    {"errors", "chance", "hush", "listen", "web"},
    {"terms", "music"},
    {"schedule"},
    {"curves", "drive"},
    {"passes"},
    {"pass_text"},
    {"recipe", "report"},
    {"networks"},
    {"objectives"},
    {"ascent"},
    {"film", "picture", "sound", "sample"},
    {"jobs"},
    {"data"},
    {"training"},
    {"api"},
    {"options", "terminal"},
    {"options_picture", "options_sound"},
    {"options_style"},
    {"asked"},
    {"films", "cli_classify", "cli_data", "cli_nets", "cli_style", "cli_train"},
    {"cli"},
    {"__main__"},
)
"""The modules and folders of the package, lowest first. A row may import the rows below it, and
neighbours in a row know nothing of each other."""

ROW = {unit: number for number, row in enumerate(ROWS) for unit in row}

FORBIDDEN = {
    "film": {"tensorflow", "keras", "mmdream.networks", "mmdream.ascent.objectives", "mmdream.ascent.engine"},
    "picture": {"av", "moviepy", "ffmpeg"},
    "sound": {"av", "moviepy", "ffmpeg"},
}
"""What one unit must not import although it lies lower or outside."""

TENSORFLOW = {
    *("networks", "objectives", "training/attack.py"),
    *("picture/slope.py", "picture/style.py", "sound/slope.py", "sound/texture.py"),
}
"""Where the framework may live, so that it stays in few files."""


def modules() -> list[Path]:
    # The package's own __init__ only names the public things and loads them on first use.
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def unit(path: Path) -> str:
    """The top-level module or folder that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module or name a file imports, dotted, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports by full name are easier to follow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """The unit of this package that an import leads to; None outside and for its version."""
    parts = name.split(".")
    if parts[0] != "mmdream" or len(parts) == 1 or parts[1] == "__version__":
        return None
    return PUBLIC.get(parts[1], parts[1])


def public() -> dict[str, str]:
    """The public names of the package and the units they come from, as type checkers see them."""
    return {
        name.split(".")[-1]: name.split(".")[1]
        for name in imports(PACKAGE / "__init__.py")
        if name.startswith("mmdream.")
    }


PUBLIC = public()


def test_every_unit_has_its_row() -> None:
    assert {unit(path) for path in modules()} == set(ROW)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = unit(path)
    for name in imports(path):
        there = own(name)
        if there is not None and there != here:
            assert there in ROW, f"{name} has no row"
            assert ROW[there] < ROW[here], f"{here} imports {name}, which does not lie below it"
        for banned in FORBIDDEN.get(here, ()):
            assert not f"{name}.".startswith(f"{banned}."), f"{here} must do without {banned}"


def test_tensorflow_stays_in_few_files() -> None:
    for path in modules():
        if {name.split(".")[0] for name in imports(path)} & {"tensorflow", "keras"}:
            place = path.relative_to(PACKAGE).as_posix()
            assert place in TENSORFLOW or unit(path) in TENSORFLOW, place
