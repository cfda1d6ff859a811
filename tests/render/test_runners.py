"""Chains rendered beside each other in one process make the film of chains that follow one another."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from make import make_times, write_film
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule
from mmdream.core.events import EventSink
from mmdream.jobs.journal import Journal
from mmdream.jobs.spec import describe_job
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.prepare import prepare_video
from mmdream.render.video import LocalRunner, render_video
from mmdream.settings.recipe import Selection

SHOTS, LENGTH = 2, 49
"""Shots longer than a part: each is a chain of its own."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pans over two photographs."""
    photos = [cv2.resize(load_sample_image(name), (240, 120)) for name in ("china.jpg", "flower.jpg")]
    views = [photo[:48, 3 * k : 3 * k + 64] for photo in photos for k in range(LENGTH)]
    return write_film(
        tmp_path_factory.mktemp("shots") / "shots.mkv",
        make_times(SHOTS * LENGTH, 25),
        frames=[np.ascontiguousarray(view) for view in views],
    )


def test_chains_in_one_batch_make_the_same_film(film: Path, tmp_path: Path):
    recipe, dreams = Recipe(schedule=Schedule(octaves=1, steps=1), precision="float32"), []
    for number, runner in enumerate((LocalRunner(), LocalRunner(SHOTS))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "work").mkdir()
        job = describe_job(film, folder / "out.mkv", Selection(), recipe, False, False)
        done: list[float] = []
        sink = EventSink(progress=lambda medium, frames, total, done=done: done.append(frames))
        plan = prepare_video(probe(film), job, Journal(folder), sink, lambda: False)
        assert len(plan.chains) == SHOTS
        report = render_video(plan, folder / "work", sink, threading.Event(), runner)
        assert report.frames == SHOTS * LENGTH
        assert done == list(range(SHOTS * LENGTH + 1))
        dreams.append(np.stack([frame.rgb for frame in read_frames(probe(folder / "work" / "out.mkv"))]))
    # A hundred-thousandth may fall to either side of a step of 1/255.
    assert np.abs(dreams[0] - dreams[1]).max() <= 1.01 / 255
    assert (dreams[0] != dreams[1]).mean() < 0.01
