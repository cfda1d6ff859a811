"""The parts that a sound's dream is the sum of, each as it sounds in it, for those who mix by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from mmdream.audio.grains.grain import add_grains
from mmdream.audio.grains.track import GrainTrack
from mmdream.audio.mastering import SampleCurve, measure_mastering_gain
from mmdream.audio.source import BLOCK_SAMPLES, AudioSource, read_padded
from mmdream.settings.report import GrainEvent

SOURCE_STEM, GAIN_STEM, GRAINS_STEM = "source", "gain", "grains {}"
"""Names of the parts: the source as it was, the dream without grains, and those of a kind."""


def split_stems(
    source: AudioSource,
    raw: AudioSource,
    track: GrainTrack | None,
    grains: Sequence[GrainEvent],
    curve: SampleCurve,
) -> Iterator[dict[str, np.ndarray]]:
    """The parts of a finished dream, block by block in order, by name, float32 [channel, sample].

    All but the source's own sum to what `write_mastered` makes of `raw` under a curve. `grains` are all of
    the track's, as they were laid in.
    """
    kinds = sorted({grain.kind for grain in grains})
    streams = {GRAINS_STEM.format(kind): _stream_kind(source, track, grains, kind) for kind in kinds if track}
    for first, gain in measure_mastering_gain(raw, curve, source):
        parts = {name: next(stream) for name, stream in streams.items()}
        rest = read_padded(raw, first, first + len(gain))
        for part in parts.values():
            rest = rest - part
        mastered = {name: part * gain for name, part in ({GAIN_STEM: rest} | parts).items()}
        yield {SOURCE_STEM: read_padded(source, first, first + len(gain))} | mastered


def _stream_kind(
    source: AudioSource, track: GrainTrack, grains: Sequence[GrainEvent], kind: str
) -> Iterator[np.ndarray]:
    """The grains of a kind alone, in the blocks of `measure_mastering_gain`."""
    wanted = [each for each, grain in zip(track.order(), grains, strict=True) if grain.kind == kind]
    starts = range(0, source.n_samples, BLOCK_SAMPLES)
    lengths = (min(BLOCK_SAMPLES, source.n_samples - start) for start in starts)
    silence = (np.zeros((source.channels, length), np.float32) for length in lengths)
    return add_grains(silence, partial(track.take_before, [], chosen=wanted))
