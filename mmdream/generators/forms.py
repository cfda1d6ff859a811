"""What a training does for pictures and for sounds: how they are read, told apart, measured and drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import numpy as np

from mmdream.generators.discriminator import Discriminator, build_discriminator
from mmdream.generators.examples import RealExamples
from mmdream.generators.figures import FeatureFunction, build_judge
from mmdream.generators.pictures import load_pictures
from mmdream.generators.sound_discriminator import build_spectrogram_discriminator, build_wave_discriminator
from mmdream.generators.sound_figures import draw_spectrograms, measure_cepstra
from mmdream.generators.sounds import load_events
from mmdream.generators.task import GeneratorTask


def load_real(task: GeneratorTask, progress: Callable[[int, int], None]) -> RealExamples:
    """Read what is to be learned from; see `load_pictures` and `load_events`."""
    if task.form == "picture":
        return load_pictures(task.dataset, task.side, progress)
    return load_events(task.dataset, task.form, task.side, progress)


def build_task_discriminator(task: GeneratorTask, real: np.ndarray) -> Discriminator:
    """What a training's generator is trained against; `real` are examples, see `RealExamples.select`."""
    classes = len(task.dataset.classes)
    match task.form:
        case "picture":
            return build_discriminator(task.network, real, classes)
        case "spectrogram":
            return build_spectrogram_discriminator(task.network, real, classes)
        case "wave":
            return build_wave_discriminator(classes, task.settings.seed % (1 << 31))
    assert_never(task.form)


def build_task_judge(task: GeneratorTask, progress: Callable[[], None]) -> FeatureFunction:
    """Features by which made examples are compared with real ones; `progress` may raise."""
    if task.judge is not None:
        return build_judge(task.judge, progress)
    return lambda values: measure_cepstra(values, task.form)


def draw_examples(task: GeneratorTask, values: np.ndarray) -> np.ndarray:
    """Examples as pictures, RGB float32 [n, h, w, 3], 0..1."""
    return values if task.form == "picture" else draw_spectrograms(values, task.form)
