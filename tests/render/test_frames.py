"""A dream over time: still where it may not breathe, new behind a cut, the same when it is run again."""

from __future__ import annotations

import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule, dream_video
from mmdream.core.events import EventSink
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.chain import Stopwatch, render_frames
from mmdream.render.frames import FramePipeline
from mmdream.render.prepare import scan_video
from mmdream.settings.recipe import Selection

QUICK = Schedule(octaves=2, steps=3)
FIRST, COUNT = 6, 10
"""Frames before the cut, and in all."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs, one after the other, without any motion."""
    path = tmp_path_factory.mktemp("still") / "still.mkv"
    photos = [cv2.resize(load_sample_image(name), (128, 96)) for name in ("china.jpg", "flower.jpg")]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "bgr0"
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(photos[number >= FIRST], format="rgb24").reformat(
                format="bgr0"
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def dream_frames(film: Path, folder: Path, **settings: object) -> np.ndarray:
    """float32 [frame, H, W, 3], 0..1."""
    out = folder / "dream.mkv"
    dream_video(film, out, Recipe(schedule=QUICK, **settings), overwrite=True)
    return np.stack([frame.rgb for frame in read_frames(probe(out))])


@pytest.fixture(scope="module")
def forward_dream(film: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Dreamed in order, with the settings that nobody chose."""
    return dream_frames(film, tmp_path_factory.mktemp("ahead"))


def test_a_still_film_that_may_not_breathe_stands_still(film: Path, tmp_path: Path):
    held, breathing = (dream_frames(film, tmp_path, breathe=breathe)[:FIRST] for breathe in (0.0, 1.0))
    assert held.std(axis=0).mean() <= 0.002
    assert breathing.std(axis=0).mean() > 2 * held.std(axis=0).mean()


def test_the_frame_behind_a_cut_is_dreamed_for_itself(film: Path, forward_dream: np.ndarray, tmp_path: Path):
    alone = dream_frames(film, tmp_path, coherence=0.0)
    for first in (0, FIRST):
        assert np.array_equal(forward_dream[first], alone[first])
        assert not np.array_equal(forward_dream[first + 1], alone[first + 1])


def test_both_ways_changes_the_beginning_of_a_shot_only_up_to_its_last_frame(
    film: Path, forward_dream: np.ndarray, tmp_path: Path
):
    both = dream_frames(film, tmp_path, bidirectional=True)
    assert not np.array_equal(forward_dream[0], both[0])
    assert np.array_equal(forward_dream[FIRST - 1], both[FIRST - 1])
    assert np.array_equal(both, dream_frames(film, tmp_path, bidirectional=True))


def test_the_sources_chroma_stays_when_it_is_asked_for(film: Path, tmp_path: Path):
    source = np.stack([frame.rgb for frame in read_frames(probe(film))])
    grey = dream_frames(film, tmp_path, color="source") - source
    assert np.abs(grey).mean() > 0.01
    assert np.abs(grey - grey.mean(axis=3, keepdims=True)).max() <= 1.01 / 255


def read_niceness() -> int:
    """Of this thread; only Linux has one for each thread."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if sys.platform == "linux" else 0


def test_a_step_is_a_function_of_state_and_frame(film: Path):
    """The threads around it change nothing, and neither does what came before in the same process.

    Whoever asks keeps its priority: all that it does afterwards would have to wait for others.
    """
    source = probe(film)
    assert source.video is not None
    recipe = Recipe(schedule=QUICK)
    scan, _ = scan_video(source, Selection(), EventSink(), lambda: False)
    pipeline = FramePipeline.load(recipe, (128, 96), EventSink(), scored_every=50)
    measurer = pipeline.measurer(scan)
    niceness = read_niceness()
    stream = render_frames(pipeline, scan, read_frames(source), 0, (), Stopwatch())
    threaded = [dreamed for dreamed, _ in stream]
    assert read_niceness() == niceness
    states, previous, kept = pipeline.initial_states, None, []
    for index, frame in enumerate(read_frames(source)):
        context, previous = measurer.measure(frame, index, previous)
        kept.append((states, frame, context))
        states, dreamed = pipeline.step(states, frame, context)
        assert np.array_equal(dreamed.rgb, threaded[index].rgb)
        assert dreamed.scores == threaded[index].scores
    again = [pipeline.step(*step)[1].rgb for step in reversed(kept)]
    once = [pipeline.step(*step)[1].rgb for step in kept]
    assert all(np.array_equal(one, other) for one, other in zip(once, reversed(again), strict=True))
