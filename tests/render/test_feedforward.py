"""A film dreamed by the shipped dreamer: as strong as by ascent, the same again, and refused by name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from interrupted_runs import interrupt_run
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video, resume_video
from mmdream.core.errors import UserError
from mmdream.jobs.store import job_folder
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.card import MODELS_FOLDER
from mmdream.settings.report import Report
from tests.command import mmdream

FRAMES, SIZE = 60, (160, 96)
BY_DREAMER = Recipe(engine="feedforward")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pan over a photograph."""
    photo = cv2.resize(load_sample_image("china.jpg"), (300, 200), interpolation=cv2.INTER_AREA)
    frames = [np.ascontiguousarray(photo[30:126, 2 * at : 2 * at + 160]) for at in range(FRAMES)]
    path = tmp_path_factory.mktemp("pan") / "pan.mkv"
    return write_film(
        path, make_times(FRAMES, 25), size=SIZE, frames=frames, options={"crf": "8", "threads": "1"}
    )


@pytest.fixture(scope="module")
def dreams(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Of both engines."""
    folder = tmp_path_factory.mktemp("dreams")
    return {
        engine: dream_video(film, folder / f"{engine}.mkv", Recipe(engine=engine))
        for engine in ("ascent", "feedforward")
    }


def test_a_dreamer_dreams_as_strongly_as_an_ascent(dreams: dict[str, Report]):
    ascent, dreamer = dreams["ascent"], dreams["feedforward"]
    assert dreamer.strength["picture"] == pytest.approx(ascent.strength["picture"], rel=0.15)
    gained, usual = (each.objective_gain["picture"] - 1 for each in (dreamer, ascent))
    assert gained > 0.4 * usual


def test_a_stopped_film_goes_on_to_the_same_dream(film: Path, dreams: dict[str, Report], tmp_path: Path):
    out = tmp_path / "out.mkv"
    interrupt_run(film, out, job_folder(out), {"picture"}, recipe=BY_DREAMER, at=0.9)
    resume_video(out)
    unbroken = Path(str(dreams["feedforward"].output))
    for frame, expected in zip(read_frames(probe(out)), read_frames(probe(unbroken)), strict=True):
        assert frame.pts == expected.pts
        np.testing.assert_array_equal(frame.rgb, expected.rgb)


def test_no_strength_leaves_the_film(film: Path, tmp_path: Path):
    report = dream_video(film, tmp_path / "out.mkv", replace(BY_DREAMER, schedule=Schedule(strength=0)))
    assert report.strength["picture"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--motif", "teeth"),
            "the motifs dog, eye, flower, house, wheel, spiral at depths 0.67 to 1 and the dream "
            "without motifs at depths 0.67 to 1, not motif teeth",
        ),
        (
            ("--depth", "0.3"),
            "not depth 0.3; teach one with `mmdream train dreamer --net dreamnet`, or take --engine",
        ),
        (
            ("--target", "teapot"),
            "--engine feedforward: no dreamer was taught target teapot; take --engine ascent",
        ),
        (("--layer", "p4c"), "no dreamer was taught layer p4c"),
        (("--objective", "mean"), "no dreamer was taught objective mean"),
        (("--optimizer", "adam"), "no dreamer was taught optimizer"),
        (("--net", "squeezenet", "--weights", "random"), "a dreamer of squeezenet was never taught"),
        (("--weights", "random"), "a dreamer of dreamnet was taught with other weights"),
        (("--engine", "forward"), "engine is 'forward'"),
    ],
)
def test_what_no_dreamer_was_taught_is_refused_by_name(
    options: tuple[str, ...], message: str, film: Path, tmp_path: Path
):
    out = tmp_path / "out.mkv"
    result = mmdream("video", str(film), "-o", str(out), "--engine", "feedforward", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_damaged_weights_are_refused(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MMDREAM_MODELS", str(tmp_path / "models"))
    copy = Path(shutil.copytree(MODELS_FOLDER / "dreamnet.dreamer", tmp_path / "models" / "dreamnet.dreamer"))
    (copy / "weights.npz").write_bytes((copy / "weights.npz").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"weights\.npz: missing or damaged; teach the dreamer again"):
        dream_video(film, tmp_path / "out.mkv", BY_DREAMER)
    assert not (tmp_path / "out.mkv").exists()
