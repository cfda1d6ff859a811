"""One definition of each setting: the same check for every way that a value comes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mmdream import Mask, Pass, Recipe, Schedule, Span, Style, UserError
from mmdream.api import VideoOptions
from mmdream.settings.definition import field_types, options, parse, read_text, to_dict
from mmdream.settings.recipe import ExtraOutputs, Selection
from mmdream.settings.training import TrainingSettings


def test_numbers_of_numpy_are_numbers():
    recipe = Recipe(coherence=np.float32(0.5), seed=np.int64(3))  # type: ignore[arg-type]
    assert (recipe.coherence, recipe.seed) == (0.5, 3)
    assert type(recipe.seed) is int
    schedule = Schedule(depth=np.array([[0, 0.5], [1, 1]]), steps=[(0, np.float64(3))])  # type: ignore[arg-type]
    assert schedule.curve("depth").keys == ((0.0, 0.5), (1.0, 1.0))


def test_names_of_files_are_paths_or_texts_and_times_are_exact():
    assert Recipe(weights=Path("a.npz")).weights == "a.npz"
    assert Mask("m.png").path == Path("m.png")  # type: ignore[arg-type]
    assert Selection(start=0.1).start == Fraction(1, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Recipe(coherence=2), "^coherence is 2; choose between 0 and 1$"),
        (lambda: Recipe(coherence=float("nan")), "coherence is nan; choose between 0 and 1"),
        (lambda: Recipe(coherence=True), "coherence is True; give a number between 0 and 1"),
        (lambda: Recipe(bidirectional=1), "bidirectional is 1; give true or false"),
        (lambda: Recipe(color="sorce"), "color is 'sorce'; choose full or source; did you mean 'source'?"),
        (lambda: Recipe(colour="full"), "unknown setting 'colour'; did you mean 'color'?"),
        (lambda: Recipe(net=3), "net is 3; give a text"),
        (lambda: Recipe(schedule="deep"), "schedule is 'deep'; give Schedule"),
        (lambda: Recipe(manner=None), "manner is None; give AscentOptions"),
        (lambda: Mask(3), "mask is 3; give the name of a file"),
        (lambda: Schedule(depth=[(0, 0.5), (1, 3)]), "depth is 3; choose between 0 and 1"),
        (lambda: Schedule(depth=[(0, "x")]), "depth is 'x'; give a number between 0 and 1"),
        (lambda: Pass(settings=(("depht", 1),)), "unknown setting 'depht'; did you mean 'depth'?"),
        (lambda: Pass(settings=(("depth", 2),)), "depth is 2; choose between 0 and 1"),
        (lambda: Style(((Path("a"), 1.0),), scale=20), "style-scale is 20; choose between 0.1 and 10"),
        (lambda: Span("x"), "from is 'x'; give a number"),
        (lambda: Selection(start="soon"), "start is 'soon'; give a number"),
        (lambda: TrainingSettings("picture", "dreamnet", Path(), "a", rate=0), "rate is 0; choose above 0"),
        (
            lambda: TrainingSettings("film", "dreamnet", Path(), "a"),
            "medium is 'film'; choose picture or sound",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_name_range_and_nearest(make: Any, line: str):
    with pytest.raises(UserError) as caught:
        make()
    message = str(caught.value)
    assert line.strip("^$") in message
    assert "\n" not in message


def test_text_stands_for_a_number_only_where_all_is_text():
    kind = field_types(Recipe)["coherence"]
    assert parse(kind, ".5", "coherence", strict=False) == 0.5
    with pytest.raises(UserError):
        parse(kind, ".5", "coherence")


def test_settings_come_back_from_plain_values():
    recipe = Recipe(
        schedule=Schedule(depth=((0, 0.1), (2, 1)), motif=((0, "dog,eye"), (3, "tower"))),
        passes=(Pass(Style(((Path("/a.jpg"), 0.5),)), (("steps", 3),), mask=Mask(Path("/m.png"))),),  # type: ignore[arg-type]
        weights="random",
    )
    plain = to_dict(recipe)
    assert plain == msgspec.json.decode(msgspec.json.encode(plain))
    assert msgspec.convert(plain, Recipe, dec_hook=read_text) == recipe


def test_every_option_has_a_help_a_panel_and_a_name_of_its_own():
    for medium in ("film", "image", "audio"):
        known = options(Recipe, frozenset({medium}))
        assert len({each.name for each in known}) == len(known)
        assert all(each.setting.help and each.setting.group for each in known)


def test_python_takes_what_the_definitions_hold():
    every = {*field_types(Selection), *field_types(ExtraOutputs)}
    assert VideoOptions.__optional_keys__ == every
