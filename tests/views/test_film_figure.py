"""The figure of a film has the parts that there is something for, and is refused where there is nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make import make_bursts, make_times, write_film

from mmdream import Recipe, Schedule, dream_video
from mmdream.audio.source import ArraySource
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.settings.recipe import Selection
from mmdream.settings.report import GrainEvent, Report, ShownMotif
from mmdream.settings.schedule import Drive
from mmdream.views.film_figure import draw_film_dream, select_curves, write_film_figure
from mmdream.views.lanes import FAMILY_COLORS
from tests.command import mmdream

RATE = 16_000
SOUND = ArraySource(np.random.default_rng(0).normal(0, 0.1, (1, RATE)).astype(np.float32), RATE)
TOLD = Report(
    seconds=4.0,
    shown=(ShownMotif("dog", 1.0, 3.0, 2.0, 0.0),),
    grains=(GrainEvent(2.0, 0.5, "dog bark", "a", None, -20.0, (1.0,)),),
    couplings={"dog bark": ("dog",)},
)
CURVES = select_curves(Recipe(schedule=Schedule(strength=((0.0, 0.2), (4.0, 1.0)))), TOLD)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "in.mkv"
    return write_film(path, make_times(12, 12), sound=make_bursts(1.0))


def test_a_figure_has_the_parts_that_there_is_something_for():
    sounds = {"source": (SOUND, 0.0), "dream": (SOUND, 0.0)}
    steady, span = select_curves(Recipe(), TOLD), (0.0, 4.0)
    heights = [
        len(draw_film_dream("in.mp4", *parts, span))
        for parts in (
            ({}, Report(), CURVES),
            ({"dream": sounds["dream"]}, Report(), steady),
            (sounds, Report(), steady),
            (sounds, Report(), CURVES),
            (sounds, Report(grains=(GrainEvent(1.0, 0.5, "rain", "a", None, 0.0, (1.0,)),)), CURVES),
        )
    ]
    assert heights == sorted(set(heights))


def test_what_answers_is_drawn_where_it_is_in_its_family_s_colour():
    figure = draw_film_dream("in.mp4", {}, TOLD, select_curves(Recipe(), TOLD), (0.0, 4.0))
    drawn = np.abs(figure.astype(int) - FAMILY_COLORS[0]).max(axis=2) < 3
    rows = np.flatnonzero(drawn.any(axis=1))
    (gap,) = np.flatnonzero(np.diff(rows) > 2)
    dog, bark = (np.flatnonzero(drawn[row]) for row in (rows[gap] - 2, rows[gap + 1] + 2))
    assert np.ptp(dog) == pytest.approx(4 * np.ptp(bark), rel=0.05)
    assert bark[0] == pytest.approx((dog[0] + dog[-1]) / 2, abs=3)
    between = figure[(rows[gap] + rows[gap + 1]) // 2].astype(int)
    linked = np.flatnonzero(between[:, 0] > between[:, 2] + 20)
    assert abs(linked.mean() - bark[0]) < 6


def test_curves_are_those_that_the_dream_went_by():
    driven = {"picture": {"strength": [[0.0, 0.5], [1.0, 0.7]]}}
    recipe = Recipe(drives=(Drive("strength", "motion"),))
    curves = select_curves(recipe, Report(driven=driven))
    assert curves["strength"].at(1.0) == pytest.approx(0.7)
    assert curves["strength of the sound"].at(1.0) == 1.0
    assert "depth of the sound" not in curves


def test_an_excerpt_s_sounds_lie_where_the_source_has_them(film: Path, tmp_path: Path, monkeypatch):
    drawn: dict[str, float] = {}

    def note(name: str, sounds: dict, *_: object) -> np.ndarray:
        drawn.update({key: start for key, (_, start) in sounds.items()})
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr("mmdream.views.film_figure.draw_film_dream", note)
    order, report = Selection(start=Fraction(1, 2)), Report(seconds=0.5)
    write_film_figure(probe(film), probe(film), tmp_path / "plot.png", order, Recipe(), report)
    assert drawn == {"source": pytest.approx(0.5, abs=0.01), "dream": pytest.approx(0.5, abs=0.01)}
    assert [each.name for each in tmp_path.iterdir()] == ["plot.png"]


def test_a_film_s_figure_is_written_beside_it(film: Path, tmp_path: Path):
    recipe = Recipe(schedule=Schedule(octaves=1, steps=2, seen_to_heard=1.0))
    report = dream_video(film, tmp_path / "out.mkv", recipe, plot=tmp_path / "plot.jpg")
    assert image.read_image(tmp_path / "plot.jpg").shape[1] == 1200
    assert report.frames == 12
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.mkv", "plot.jpg"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--plot", "plot.doc"), "cannot write .doc"),
        (
            ("--plot", "plot.png", "--keep-sound", "--heard-to-seen", "0"),
            "keeps its sound, and --plot draws a sound",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(film: Path, tmp_path: Path, words: tuple, line: str):
    done = mmdream("video", film, "-o", "out.mkv", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_silent_film_has_nothing_to_draw(tmp_path: Path):
    silent = write_film(tmp_path / "silent.mkv", make_times(12, 12))
    done = mmdream("video", silent, "--plot", tmp_path / "plot.png")
    assert done.returncode == 2
    assert "has no sound, and --plot draws a sound" in done.stderr
