"""A dreamer taught on a few pictures: it goes on where it stopped, is kept with its report, and dreams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdream import Recipe, Schedule
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.events import EventSink
from mmdream.networks.dreamer_card import DREAMER_CARD, DREAMER_WEIGHTS, read_dreamer_card
from mmdream.networks.weights import read_arrays
from mmdream.render.image import render_image
from mmdream.settings.training import DreamerSettings
from mmdream.training import clips, dreamer_fit
from mmdream.training.dreamer import TeachingReport, train_dreamer
from mmdream.training.dreamer_task import make_teaching_task
from tests.command import mmdream

# Keras 3.15 calls NumPy in its older way where it saves variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"ROUND_STEPS": 1, "OPEN_CLIPS": 2, "FIRST_SAMPLES": 8}
SMALL |= {"HELD_BATCHES": 1, "TRIED_CLIPS": 1, "TRIED_FRAMES": 6}


@pytest.fixture(scope="module", autouse=True)
def small_clips() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(dreamer_fit, name, value)
        patch.setattr(clips, "CLIP_SIZE", (64, 96))
        patch.setattr(clips, "CLIP_FRAMES", (6, 7))
        yield


@pytest.fixture(scope="module")
def teaching(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TeachingReport, list[str]]:
    """A dreamer that was stopped after its first round and went on; what was said."""
    said: list[str] = []

    def stop(what: str, done: float, total: float) -> None:
        if what == "training" and done == 2:
            raise Interrupted

    settings = DreamerSettings(pictures, steps=2, batch=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMDREAM_MODELS", str(tmp_path_factory.mktemp("taught")))
        with pytest.raises(Interrupted):
            train_dreamer(settings, listener=EventSink(progress=stop, say=said.append))
        return train_dreamer(settings, listener=EventSink(say=said.append)), said


def test_a_stopped_teaching_goes_on_at_its_round(teaching: tuple[TeachingReport, list[str]]):
    report, said = teaching
    rounds = [line.split(":")[0] for line in said if line.startswith("round")]
    assert rounds == ["round 1 of 2", "round 2 of 2"]
    assert len(json.loads((report.folder / "report.json").read_text())["rounds"]) == 2
    assert [path.name for path in report.folder.parent.iterdir()] == ["dreamnet.dreamer"]


def test_what_was_taught_is_kept_with_its_report(teaching: tuple[TeachingReport, list[str]]):
    report, _ = teaching
    card, arrays = (
        read_dreamer_card(report.folder / DREAMER_CARD),
        read_arrays(report.folder / DREAMER_WEIGHTS),
    )
    assert (card.layers, card.motifs) == (("c3b", "p4c"), ())
    assert card.depths == pytest.approx((2 / 3, 1))
    assert (report.folder / DREAMER_WEIGHTS).stat().st_size < 1_000_000
    assert all(array.dtype == np.float16 and np.isfinite(array).all() for array in arrays.values())
    assert (report.folder / "curves.png").stat().st_size > 5000
    assert report.trial.strength > 0
    assert any("dream with it: mmdream video IN --engine feedforward" in line for line in report.lines())


def test_a_dreamer_is_found_and_dreams(
    teaching: tuple[TeachingReport, list[str]], monkeypatch: pytest.MonkeyPatch, pictures: Path
):
    monkeypatch.setenv("MMDREAM_MODELS", str(teaching[0].folder.parent))
    recipe = Recipe(Schedule(octaves=1, steps=2), engine="feedforward")
    grey = np.full((64, 96, 3), 0.5, np.float32)
    dream, report = render_image(grey, recipe, EventSink())
    assert report.strength["picture"] > 0
    assert np.isfinite(dream).all()
    with pytest.raises(UserError, match="this dreamer exists already; add --overwrite"):
        train_dreamer(DreamerSettings(pictures))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--motif", "arch"),
            "--motif arch: is a class of dreamnet, and dreamers are taught channels: balls,",
        ),
        (("--motif", "dgo"), 'no motif "dgo"; nearest: dog'),
        (("--net", "melnet"), "melnet is a sound network"),
        (("--weights", "random"), "random weights have no dreams to teach"),
        (("--steps", "0"), "steps is 0; choose"),
        (("--data", "{empty}"), "has no two pictures (.jpg, .png, .webp) or films to learn from"),
    ],
)
def test_what_cannot_be_taught_is_refused(
    options: tuple[str, ...], message: str, pictures: Path, tmp_path: Path
):
    given = [each.format(empty=tmp_path) for each in options]
    if "--data" not in given:
        given += ["--data", str(pictures)]
    result = mmdream("train", "dreamer", *given)
    assert result.returncode == 2
    assert message in result.stderr
    assert not list(tmp_path.rglob("*.dreamer*"))


def test_motifs_are_taught_by_their_layers(pictures: Path):
    task = make_teaching_task(DreamerSettings(pictures, motif="dog,eye"), False)
    assert task.layers == ("p4c",)
    assert task.folder.name == "dreamnet-dog-eye.dreamer"
    assert task.recipe.schedule.motif_curve.names == ("dog", "eye")
    assert task.command.endswith("--net dreamnet --motif dog,eye")
    assert len(task.held) == 2
    assert not set(task.held) & set(task.learned)
    again = make_teaching_task(replace(task.settings), False)
    assert again.describe() == task.describe()
