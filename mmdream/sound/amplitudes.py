"""The canvas that a style climbs: amplitudes in runs of bins on a log scale; and back to all channels.

Runs are as wide at every sample rate, single bins where partials lie apart and a few bins where the ear no
longer parts them, which makes a step four times cheaper than all bins would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage

from mmdream.sound.canvas import BAND_EDGES
from mmdream.sound.front import group_bins
from mmdream.sound.stft import Stft, make_stft

LOG_SCALE = 2000.0
"""Where the scale turns from linear to logarithmic, one over the amplitude: -66 dB under a levelled full
scale. Ulyanov's audio style has 512 (ln(1 + |S|) of a transform that is not scaled), which leaves out the
upper octaves of most recordings."""
MIN_CANVAS_HZ = 30.0
"""What lies below is no sound, and stays as it is."""
MAX_SINGLE_BIN_HZ = 600.0
"""Bins below stay single."""
LEVELLED_ENERGY = 3 * 10 ** (-23 / 10)
"""Energy of a hop of a levelled sound: three times the mean square, for Hann windows spread a sine of
amplitude 1 over bins whose squares add up to 1.5."""
AUDIBLE_ENERGY = LEVELLED_ENERGY / 100
"""Energy of a hop that counts half, 20 dB softer."""
RING_HOPS = 5
"""Hops to either side over which what sounds is heard too."""
PANNING_SIZE = (5, 5)
"""Hops and bins over which the place of new sound between the channels is averaged."""


@dataclass(frozen=True, eq=False)
class StyleGrid:
    """Runs of bins at one sample rate."""

    stft: Stft
    starts: np.ndarray
    """int [run], the first bin of each."""
    widths: np.ndarray
    """float32 [run], bins."""

    def told(self, spectra: np.ndarray, factor: float) -> np.ndarray:
        """A sound on the canvas's scale.

        Args:
            spectra: complex64 [channel, hop, bin].
            factor: brings the sound to the level at which all sounds are compared.

        Returns:
            float32 [hop, run], >= 0: ln(1 + UNIT * amplitude), all channels taken together.
        """
        power = np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        means = np.add.reduceat(power, self.starts, axis=1) / self.widths
        return np.asarray(np.log1p(np.float32(LOG_SCALE * factor) * np.sqrt(means)), np.float32)

    def measure_presence(self, canvas: np.ndarray) -> np.ndarray:
        """How much of a sound there is at each hop of a canvas, float32 [hop], 0 in pauses to 1."""
        energy = np.square(np.expm1(canvas) / np.float32(LOG_SCALE)) @ self.widths
        near = scipy.ndimage.maximum_filter1d(energy, 2 * RING_HOPS + 1)
        return np.asarray(near / (near + AUDIBLE_ENERGY), np.float32)

    def to_amplitudes(self, canvas: np.ndarray, spectra: np.ndarray, factor: float) -> np.ndarray:
        """The amplitudes that a canvas stands for, in the channels and bins of the sound it came from.

        What was there keeps its place between the channels and its shape inside a run; what is new is laid
        evenly over a run and over the channels as the sound lies around it. So the canvas of a sound gives
        that sound's own amplitudes, whatever its channels hold, and no two channels can cancel.

        Args:
            canvas: float32 [hop, run].
            spectra: complex64 [channel, hop, bin] of the content.
            factor: as in `told`.

        Returns:
            float32 [channel, hop, bin].
        """
        power = np.square(np.abs(spectra))
        first = int(self.starts[0])
        counts = self.widths.astype(int)
        heard = power[..., first:]
        whole = np.repeat(np.add.reduceat(heard.sum(axis=0), self.starts - first, axis=1) / self.widths,
                          counts, axis=1)  # fmt: skip
        wanted = np.repeat(np.square(np.expm1(canvas) / np.float32(LOG_SCALE * factor)), counts, axis=1)
        new = np.square(np.maximum(np.sqrt(wanted) - np.sqrt(whole), 0.0))
        near = np.stack([scipy.ndimage.uniform_filter(channel, PANNING_SIZE) for channel in heard])
        share = (near + 1e-20) / (near + 1e-20).sum(axis=0)
        least = np.float32(1e-30)
        mixed = (heard + (new + least) * share) / (whole + new + least)
        found = np.sqrt(power)
        found[..., first:] = np.sqrt(wanted * mixed)
        return np.asarray(found, np.float32)


@lru_cache(maxsize=4)
def make_style_grid(rate: int) -> StyleGrid:
    """The runs at a sample rate."""
    stft = make_stft(rate)
    single = np.flatnonzero((stft.frequencies >= MIN_CANVAS_HZ) & (stft.frequencies < MAX_SINGLE_BIN_HZ))
    starts = np.union1d(single, group_bins(stft, BAND_EDGES))
    starts = starts[starts >= single[0]]
    return StyleGrid(stft, starts, np.diff(np.append(starts, stft.n_bins)).astype(np.float32))
