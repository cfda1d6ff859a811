"""What files of settings may hold: the JSON schema accepts all that is read, and refuses what is not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema_rs
import numpy as np
import pytest

from mmdream.core.errors import UserError
from mmdream.settings.files import json_schema, list_presets, parse_pass, read_passes, read_schedule

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema_rs.Draft202012Validator(json_schema())


@pytest.mark.parametrize("name", list_presets())
def test_the_schema_accepts_every_preset(name: str):
    SCHEMA.validate(tomllib.loads((ROOT / f"mmdream/presets/{name}.toml").read_text()))


def test_the_schema_accepts_every_schedule_that_is_shown_to_people():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    blocks = [
        text for page in pages for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    assert len(blocks) >= 2
    for text in blocks:
        SCHEMA.validate(tomllib.loads(text))


GOOD = (
    'preset = "whisper"\n[[key]]\nat = 1\ndepth = 0.2\n[[key]]\nat = 3\ndepth = 0.4\nsteps = 3\n',
    '[[key]]\nat = 0\nmotif = "dog"\n[[key]]\nat = 4\nmotif = "eye,dog"\ndepth = 0.5\n',
    '[[pass]]\ndepth = 0.6\n[[pass]]\nstyle = ["a.png", "b.png=0.5"]\nfrom = 3\nto = "8s"\nfade = 1\n'
    "[[pass.key]]\nat = 3\nstrength = 0.0\n",
    '[[pass]]\nmotif = "dog+tower"\nlayer = "p4c"\nnet = "vgg16"\nweights = "random"\nmask = "m.png"\n',
)
WRONG = (
    'presett = "whisper"',
    'preset = "whispr"',
    "[[key]]\nat = 1\ndepth = 7",
    "[[key]]\ndepth = 0.2",
    '[[key]]\nat = 1\ndepth = "deep"',
    "[[pass]]\nstyle = 'a.jpg'\nstyle_scale = 20",
    "[[pass]]\ncontent_weight = 1",
    "[[pass]]\nstyle = 'a.jpg'\nlayer = 'p4c'",
    "[[pass]]\nfrom = true",
)


@pytest.mark.parametrize("text", GOOD)
def test_what_is_read_is_accepted(text: str, tmp_path: Path):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    read_schedule(path)
    read_passes(path)
    SCHEMA.validate(tomllib.loads(text))


@pytest.mark.parametrize("text", WRONG)
def test_what_is_refused_is_not_accepted(text: str, tmp_path: Path):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"^[^\n]*$"):
        _ = read_passes(path), read_schedule(path)
    assert not SCHEMA.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("style=a.png:smooth=-1", "smooth is -1; choose between 0 and 100"),
        ("style=a.png:from=x", "from is 'x'; give a number"),
        ("dream:mask=m.png,feather=soft", "feather is 'soft'; give a number between 0 and 360"),
        ("dream:statistic=gram", "did you mean 'steps'|unknown setting 'statistic'"),
    ],
)
def test_a_wrong_pass_is_told_by_its_setting(text: str, line: str):
    with pytest.raises(UserError, match=line):
        parse_pass(text)


def test_the_way_from_key_to_key_is_straight_smooth_or_held(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        '[[key]]\nat = 0\nstrength = 0\ndepth = 0.2\nease = "smooth"\n[[key]]\nat = 2\nstrength = 1\n'
        'motif = "dog"\nease = "hold"\n[[key]]\nat = 4\nstrength = 0.5\nmotif = "tower"\n'
    )
    strength, motif = read_schedule(path).curve("strength"), read_schedule(path).motif_curve
    seconds = np.linspace(0, 2, 41)
    shares = seconds / 2
    np.testing.assert_allclose(strength.at(seconds), shares**2 * (3 - 2 * shares), atol=1e-3)
    assert [strength.at(at) for at in (2, 3.999, 4, 9)] == [1, 1, 0.5, 0.5]
    assert dict(motif.at(3.999)) == {"dog": 1.0, "tower": 0.0}
    assert dict(motif.at(4.0)) == {"dog": 0.0, "tower": 1.0}
    path.write_text('[[key]]\nat = 0\nmotif = "dog"\nease = "smooth"\n')
    with pytest.raises(UserError, match="key 1: motif cross-fades linear, or holds"):
        read_schedule(path)
    path.write_text('[[key]]\nat = 0\nstrength = 1\nease = "smoth"\n')
    with pytest.raises(UserError, match="did you mean 'smooth'"):
        read_schedule(path)
