"""The canvas that a dream climbs, a log gain over hops and mel bands: its limits, its smoothing, its means.

A second plane, where something is invented, holds how strong that is. The grid is the same for every network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from mmdream.audio.source import AudioSource
from mmdream.audio.spectra import compute_band_edges, make_filterbank, make_stft, read_spectra

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both

BAND_EDGES = compute_band_edges(64, 40.0, 16000.0, "htk")
"""Of the canvas's bands, Hz: wide enough that a gain makes no musical noise."""
N_BANDS = len(BAND_EDGES) - 2
DB_PER_NEPER = float(20 / np.log(10))
"""Decibels in a neper of amplitude."""
MAX_GAIN = 15 / DB_PER_NEPER
MIN_GAIN = -15 / DB_PER_NEPER
"""Soft limits of the log gain, nepers. Wider ones (-24, +18 dB, hard) gate the source away."""
MAX_INVENTED, MIN_INVENTED = 30 / DB_PER_NEPER, -16 / DB_PER_NEPER
"""Soft limits of invented energy, nepers over INVENTED_START."""
INVENTED_START = -15 / DB_PER_NEPER
"""Nepers, against a typical sound, at which invented energy starts: half of it is heard there, and soon
nothing under it, or there would be a faint hiss everywhere."""
INVENTED_GATE = 3 / DB_PER_NEPER
"""Nepers over which it comes and goes."""
MAX_COLUMNS = 1000
"""Of a drawing; from twice as many on, neighbours share one."""
BLOCK_HOPS = 512
"""Transformed together."""


def soft_limit(
    canvas: Array,
    highest: float = MAX_GAIN,
    lowest: float = MIN_GAIN,
    where: Callable[..., Any] = np.where,
    tanh: Callable[[Any], Any] = np.tanh,
) -> Array:
    """The gain that a canvas stands for, float32: limited by a smooth curve, never cut.

    `highest` > 0 and `lowest` < 0 are nepers; `where` and `tanh` are of the library of `canvas`.
    """
    limit = where(canvas > 0, np.float32(highest), np.float32(lowest))
    return limit * tanh(canvas / limit)


def limit_canvas(canvas: np.ndarray) -> np.ndarray:
    """A canvas, softly limited; its second plane, if any, within the limits of invented energy."""
    invented = soft_limit(canvas[:, N_BANDS:], MAX_INVENTED, MIN_INVENTED)
    return np.hstack((soft_limit(canvas[:, :N_BANDS]), invented))


def compute_invented_power(canvas: Array, typical: np.ndarray, exp: Callable[[Any], Any] = np.exp) -> Array:
    """The power of a bin of invented energy, float32 [hop, band], for a softly limited canvas.

    The canvas is nepers over INVENTED_START; `typical`, [band], the power of a bin of a typical sound.
    """
    gate = 1.0 / (1.0 + exp(-canvas / INVENTED_GATE))
    return typical * exp(2.0 * (canvas + INVENTED_START)) * gate * gate


def smooth_gradient(gradient: np.ndarray, sigma_hops: float) -> np.ndarray:
    """Blur a gradient [hop, band] along time, and by one band across: grain would sound as musical noise.

    The blur along time rises in a third of the time and decays exponentially, as struck and blown things do:
    after a symmetric one figures swell like sound played backwards.
    """
    across, along = cv2.getGaussianKernel(7, 1.0, cv2.CV_32F), _decay_kernel(sigma_hops)
    return np.asarray(cv2.sepFilter2D(gradient, -1, across, along, borderType=cv2.BORDER_REFLECT_101))


@lru_cache(maxsize=64)
def _decay_kernel(sigma: float) -> np.ndarray:
    """Kernel over an odd number of hops, sums to 1; reversed, because OpenCV correlates."""
    rise, fall = max(sigma / 3, 0.8), 1.2 * sigma
    reach = int(5 * sigma) + 1
    t = np.arange(-reach, reach + 1)
    kernel = np.where(t < 0, np.exp(-0.5 * np.square(t / rise)), np.exp(-np.maximum(t, 0) / fall))
    return np.asarray((kernel / kernel.sum())[::-1].astype(np.float32))


class ColumnMeans:
    """Means over rows that come in order, in fewer than 2 `max_columns` columns of equally many rows."""

    def __init__(self, max_columns: int = MAX_COLUMNS) -> None:
        self._max = max_columns
        self.rows_per_column = 1
        """The last column may have fewer."""
        self._full = self._rest = np.zeros((0, 0), np.float32)

    def feed(self, rows: np.ndarray) -> None:
        """Take the next rows, float [row, value]."""
        full, rest = (old if len(old) else rows[:0] for old in (self._full, self._rest))
        rows = np.concatenate((rest, rows))
        while True:
            whole = len(rows) // self.rows_per_column * self.rows_per_column
            means = rows[:whole].reshape(-1, self.rows_per_column, rows.shape[1]).mean(1)
            full, rest = np.concatenate((full, means)), rows[whole:]
            if len(full) < 2 * self._max:
                break
            # A column without a neighbour waits for one, as so many rows.
            waiting = np.repeat(full[len(full) // 2 * 2 :], self.rows_per_column, axis=0)
            full = full[: len(full) // 2 * 2].reshape(-1, 2, full.shape[1]).mean(1)
            self.rows_per_column *= 2
            rows = np.concatenate((waiting, rest))
        self._full, self._rest = full, rest

    def means(self) -> np.ndarray:
        """float32 [column, value]."""
        last = self._rest.mean(0, keepdims=True) if len(self._rest) else self._full[:0]
        return np.concatenate((self._full, last)).astype(np.float32)


def measure_column_power(source: AudioSource, max_columns: int = MAX_COLUMNS) -> tuple[np.ndarray, float]:
    """A sound's power in the bands of the canvas, float32 [column, band], and the seconds of a column.

    Summed over the channels; a full-scale sine is near 1. There are fewer than 2 `max_columns` columns.
    """
    stft = make_stft(source.rate)
    bank, columns = make_filterbank(BAND_EDGES, stft), ColumnMeans(max_columns)
    hops = -(-source.n_samples // stft.hop)
    for first in range(0, hops, BLOCK_HOPS):
        spectra = read_spectra(source, stft, first, min(first + BLOCK_HOPS, hops))
        columns.feed(np.square(np.abs(spectra)).sum(0) @ bank)
    return columns.means(), columns.rows_per_column * stft.hop / source.rate
