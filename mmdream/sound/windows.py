"""A sound as a network hears it, a window at a time: to be named, and not to be dreamed.

Level, spectrogram, bands and scale are those of the dream, so a network names what it would climb.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmdream.sound.ear import get_frontend
from mmdream.sound.level import LoudnessMeter, compute_level_factor
from mmdream.sound.source import AudioSource, read_blocks

if TYPE_CHECKING:
    from mmdream.networks.network import Network


@dataclass(frozen=True)
class AudioWindow:
    """A stretch of sound as a network is given it."""

    seconds: float
    """At which it begins, from the sound's first sample."""
    shown: np.ndarray
    """float32 [1, column, band, 1]."""


def read_windows(source: AudioSource, network: Network, seconds: float, most: int) -> Iterator[AudioWindow]:
    """Windows over a whole sound, as many as it takes to hear all of it, evenly spaced.

    Args:
        source: the sound; it is metered first, because a network hears it at a level of its own.
        network: a sound network.
        seconds: length of a window; a shorter sound is one window, with silence behind it.
        most: windows; of a longer sound the stretches between them are not heard.

    Yields:
        Windows in order, one at least.

    Raises:
        UserError: a sample is not a number.
    """
    meter = LoudnessMeter(source.rate, source.channels, source.layout)
    for samples in read_blocks(source):
        meter.feed(samples)
    on = get_frontend(network, source.rate)
    factor = compute_level_factor(meter.level(), on.front.level_dbfs)
    columns = max(1, round(seconds * source.rate / on.stft.hop))
    whole = max(columns, -(-source.n_samples // on.stft.hop))
    count = min(most, -(-whole // columns))
    for first in np.rint(np.linspace(0, whole - columns, count)).astype(int).tolist():
        power = on.read_power(source, first, first + columns, 0, factor)
        yield AudioWindow(first * on.stft.hop / source.rate, on.shown(power))
