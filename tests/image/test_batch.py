"""Frames of several chains in one batch are those of single frames, and an error reaches whom it concerns."""

from __future__ import annotations

import threading
from array import array
from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from mmdream import Recipe, Schedule
from mmdream.analysis.shots import Scan, Shot
from mmdream.core.events import EventSink
from mmdream.image.batch import GradientMeeting, meeting
from mmdream.media.video_reader import Frame
from mmdream.render.frames import FramePipeline

CHAINS, FRAMES = 3, 3
WIDTH, HEIGHT = 96, 64


def make_chain(number: int) -> list[Frame]:
    """A pan over a photograph, each chain's over another part of it."""
    photo = load_sample_image("china.jpg")[40 * number :, 90 * number :].astype(np.float32) / 255
    views = [np.ascontiguousarray(photo[:HEIGHT, 2 * k : 2 * k + WIDTH]) for k in range(FRAMES)]
    return [Frame(view, k, Fraction(1, 25), k, Fraction(k, 25)) for k, view in enumerate(views)]


def step_through(pipeline: FramePipeline, frames: list[Frame]) -> list[np.ndarray]:
    shot = Shot(0, FRAMES, (0, HEIGHT, 0, WIDTH))
    scan = Scan((shot,), array("q", range(FRAMES)), array("f", [1.0] * FRAMES), Fraction(1, 25), 0)
    measurer = pipeline.measurer(scan)
    states, previous, dreams = pipeline.initial_states, None, []
    for index, frame in enumerate(frames):
        context, previous = measurer.measure(frame, index, previous)
        states, dreamed = pipeline.step(states, frame, context)
        dreams.append(dreamed.rgb)
    return dreams


def test_frames_of_several_chains_in_one_batch_are_those_of_single_ones():
    recipe = Recipe(schedule=Schedule(octaves=2, steps=3), precision="float32")
    pipeline = FramePipeline.load(recipe, (WIDTH, HEIGHT), EventSink(), scored_every=50)
    chains = [make_chain(number) for number in range(CHAINS)]
    alone = [step_through(pipeline, frames) for frames in chains]
    together: dict[int, list[np.ndarray]] = {}
    begin = threading.Barrier(CHAINS)

    def work(number: int) -> None:
        with met.seat():
            begin.wait()
            together[number] = step_through(pipeline, chains[number])

    with meeting() as met:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(CHAINS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert met.sizes[CHAINS] >= FRAMES  # They were dreamed together indeed.
    for number in range(CHAINS):
        np.testing.assert_allclose(together[number], alone[number], rtol=0, atol=1e-5)
        assert np.abs(alone[number][-1] - chains[number][-1].rgb).mean() > 0.01


def test_who_comes_alone_is_served_and_an_error_reaches_those_whom_it_concerns():
    met = GradientMeeting()

    def fail(_given: object) -> list[np.ndarray]:
        raise ValueError("no")

    with met.seat(), met.seat():  # The other never comes.
        assert met.compute("one", 3, lambda given: [np.full(1, 2 * each) for each in given]) == 6
        with pytest.raises(ValueError, match="no"):
            met.compute("one", 3, fail)
