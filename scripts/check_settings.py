"""Check what wrong settings are answered with: twenty from a file, from the command line and from Python.

    python scripts/check_settings.py

Each must be told in one line that names the setting and its range, or the nearest right name. The JSON
schema must refuse what is wrong in a file too, and accept every preset, every schedule in the documentation
(blocks of TOML in the Markdown files) and in the tests (texts that the reader takes, wherever they stand).
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs

from mmdream import Drive, Mask, Pass, Recipe, Schedule, Span, Style, UserError
from mmdream.cli.app import main
from mmdream.settings.files import json_schema, list_presets, read_passes, read_schedule
from mmdream.settings.recipe import AscentOptions, AudioOptions, Selection

ROOT = Path(__file__).resolve().parents[1]

FILE = {
    'presett = "whisper"': "did you mean 'preset'",
    'preset = "whispr"': "did you mean 'whisper'",
    "[[key]]\nat = 1\ndepth = 7": "depth is 7; choose between 0 and 1",
    '[[key]]\nat = 1\nsteps = "many"': "steps is 'many'; give a number between 0 and 500",
    "[[key]]\nat = 1\noctave_scal = 2": "did you mean 'octave_scale'",
    "[[pass]]\nstyle = 'a.jpg'\nstyle_scale = 20": "style_scale is 20; choose between 0.1 and 10",
    "[[pass]]\nstyle = 'a.jpg'\nstatistic = 'grams'": "choose wasserstein or gram; did you mean 'gram'",
    "[[pass]]\nmask = 'm.png'\nfeather = -1": "feather is -1; choose between 0 and 360",
}
COMMAND_LINE = {
    "--coherence 2": "coherence is 2; choose between 0 and 1",
    "--steps many": "steps is 'many'; give a number between 0 and 500",
    "--color sorce": "choose full or source; did you mean 'source'",
    "--depht 1": "--depth",
    "--pass dream:depht=1": "did you mean 'depth'",
    "--drive strength=loudnes": "did you mean 'loudness'",
}
PYTHON: dict[str, tuple[Callable[[], Any], str]] = {
    "Recipe(breathe=-1)": (lambda: Recipe(breathe=-1), "breathe is -1; choose between 0 and 1"),
    "Recipe(coherance=0.5)": (
        lambda: Recipe(coherance=0.5),  # type: ignore[call-arg]
        "did you mean 'coherence'",
    ),
    "Schedule(octaves=[(0, 20)])": (
        lambda: Schedule(octaves=[(0, 20)]),
        "octaves is 20; choose between 1 and 12",
    ),
    "AscentOptions(optimizer='adm')": (
        lambda: AscentOptions(optimizer="adm"),  # type: ignore[arg-type]
        "choose normalized or adam; did you mean 'adam'",
    ),
    "AudioOptions(invent='loud')": (
        lambda: AudioOptions(invent="loud"),  # type: ignore[arg-type]
        "invent is 'loud'; give a number between 0 and 1",
    ),
    "Recipe(seed=0.5)": (lambda: Recipe(seed=0.5), "seed is 0.5; give a whole number"),  # type: ignore[arg-type]
    "Pass(mask=Mask('m.png', 999))": (
        lambda: Pass(mask=Mask(Path("m.png"), 999)),
        "feather is 999; choose between 0 and 360",
    ),
    "Style(..., content_weight=-1)": (
        lambda: Style(((Path("a.jpg"), 1.0),), content_weight=-1),
        "content-weight is -1; choose between 0 and 1000",
    ),
    "Span(5, 3)": (lambda: Span(5, 3), "choose from < to"),
    "Drive('strenght', 'loudness')": (lambda: Drive("strenght", "loudness"), "did you mean 'strength'"),
    "Selection(strict='yes')": (
        lambda: Selection(strict="yes"),  # type: ignore[arg-type]
        "strict is 'yes'; give true or false",
    ),
}


def error_from_file(text: str) -> str:
    """The line that a schedule file of a text is answered with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schedule.toml"
        path.write_text(text)
        try:
            read_schedule(path)
            read_passes(path)
        except UserError as error:
            return str(error).removeprefix(f"{path}: ")
    return ""


def error_from_command_line(words: str) -> str:
    """The line that an option of `mmdream video` is answered with."""
    stderr, sys.argv = io.StringIO(), ["mmdream", "video", "film.mp4", *words.split()]
    with contextlib.redirect_stderr(stderr), contextlib.suppress(SystemExit):
        main()
    return stderr.getvalue().removesuffix("\n")


def error_from_python(make: Callable[[], Any]) -> str:
    """The line that an object's making is answered with."""
    try:
        make()
    except UserError as error:
        return str(error)
    return ""


def read_documented_schedules() -> dict[str, str]:
    """The blocks of TOML in the Markdown files, by where they stand."""
    found = {}
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        blocks = re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL)
        found |= {f"{path.relative_to(ROOT)}, block {number}": text for number, text in enumerate(blocks, 1)}
    return found


def read_tested_schedules() -> dict[str, str]:
    """The texts in the tests that hold a setting or a table of a schedule file and that its reader takes."""
    found = {}
    for path in sorted(ROOT.glob("tests/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.search(r"^(\[\[(key|pass)\]\]|preset = )", text, re.MULTILINE) and not error_from_file(
                text
            ):
                found[f"{path.relative_to(ROOT)}:{node.lineno}"] = text
    return found


def check_all() -> int:
    """Print every line; return how many are not as they should be."""
    rows = [
        ("file", " / ".join(text.split("\n")), error_from_file(text), says) for text, says in FILE.items()
    ]
    rows += [("option", words, error_from_command_line(words), says) for words, says in COMMAND_LINE.items()]
    rows += [("Python", text, error_from_python(make), says) for text, (make, says) in PYTHON.items()]
    wrong = 0
    for where, given, line, says in rows:
        right = says in line and "\n" not in line
        wrong += not right
        print(f"{'ok   ' if right else 'WRONG'} {where:6} {given}\n             {line}")
    validator = jsonschema_rs.Draft202012Validator(json_schema())
    for text in FILE:
        if validator.is_valid(tomllib.loads(text)):
            wrong += 1
            print(f"WRONG schema accepts {text!r}")
    files = {f"preset {name}": (ROOT / f"mmdream/presets/{name}.toml").read_text() for name in list_presets()}
    files |= read_documented_schedules() | read_tested_schedules()
    for name, text in files.items():
        errors = [error.message for error in validator.iter_errors(tomllib.loads(text))]
        wrong += bool(errors)
        print(f"{'WRONG' if errors else 'ok   '} schema {name} {'; '.join(errors)}")
    print(f"{len(rows)} wrong values, {len(files)} files: {wrong} not as they should be")
    return wrong


if __name__ == "__main__":
    sys.exit(min(check_all(), 1))
