"""The sound canvas on one grid of hops and mel bands: its limits, and how its gradient is smoothed.

A plane holds the log gain over the source; a second one, where something is to be invented, how strong new
energy is. The same grid whatever network climbs it: what a network hears, and how often, is its ear's affair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from mmdream.audio.filterbank import compute_band_edges, make_filterbank
from mmdream.audio.source import AudioSource, read_padded
from mmdream.audio.stft import HALF_WINDOW_HOPS, forward_stft, make_stft

Array = Any  # a NumPy array or a TensorFlow tensor; the same formula serves both

BAND_EDGES = compute_band_edges(64, 40.0, 16000.0, "htk")
"""Of the canvas's bands, Hz: wide enough that a gain is no musical noise."""
N_BANDS = len(BAND_EDGES) - 2
DB_PER_NEPER = float(20 / np.log(10))
"""Decibels in a neper of amplitude."""
MAX_GAIN = 15 / DB_PER_NEPER
MIN_GAIN = -15 / DB_PER_NEPER
"""Soft limits of the log gain in nepers. Wider ones (-24, +18 dB, hard) gate the source away and
leave flat-topped blobs."""
MAX_INVENTED, MIN_INVENTED = 30 / DB_PER_NEPER, -16 / DB_PER_NEPER
"""Soft limits of new energy, nepers over where it starts."""
INVENTED_START = -15 / DB_PER_NEPER
"""Nepers, against a typical sound, at which new energy starts: half of it is heard there, and soon nothing
under it, or a faint hiss lay everywhere."""
INVENTED_GATE = 3 / DB_PER_NEPER
"""Nepers over which it comes and goes."""


def soft_limit(canvas: np.ndarray, highest: float = MAX_GAIN, lowest: float = MIN_GAIN) -> np.ndarray:
    """What a canvas stands for: softly limited, never cut.

    Args:
        canvas: float32, nepers.
        highest: nepers > 0.
        lowest: nepers < 0.

    Returns:
        float32, the same shape, between the limits.
    """
    limit = np.where(canvas > 0, np.float32(highest), np.float32(lowest))
    return np.asarray(limit * np.tanh(canvas / limit), dtype=np.float32)


def compute_invented_power(canvas: Array, typical: np.ndarray, exp: Callable[[Any], Any] = np.exp) -> Array:
    """The power of new energy that a canvas stands for.

    Args:
        canvas: float32 [hop, band], nepers, softly limited, over where it starts.
        typical: float32 [band], power of a bin of a typical sound.
        exp: of the library that `canvas` belongs to.

    Returns:
        float32 [hop, band], of a bin.
    """
    heard = 1.0 / (1.0 + exp(-canvas / INVENTED_GATE))
    return typical * exp(2.0 * (canvas + INVENTED_START)) * heard * heard


def smooth_gradient(gradient: np.ndarray, sigma_hops: float) -> np.ndarray:
    """Blur a gradient along time, and by one band across: grain would sound as musical noise.

    The blur along time rises in a third of the time and dies away exponentially, as struck and
    blown things do: a symmetric one makes figures that swell like sound played backwards.

    Args:
        gradient: float32 [hop, band].
        sigma_hops: how coarse.

    Returns:
        float32, the same shape.
    """
    return np.asarray(
        cv2.sepFilter2D(
            gradient, -1, cv2.getGaussianKernel(7, 1.0, cv2.CV_32F), _decay_kernel(sigma_hops),
            borderType=cv2.BORDER_REFLECT_101,
        )
    )  # fmt: skip


@lru_cache(maxsize=64)
def _decay_kernel(sigma: float) -> np.ndarray:
    """Kernel over an odd number of hops, sums to 1; reversed, because OpenCV correlates."""
    rise, fall = max(sigma / 3, 0.8), 1.2 * sigma
    reach = int(5 * sigma) + 1
    t = np.arange(-reach, reach + 1)
    kernel = np.where(t < 0, np.exp(-0.5 * np.square(t / rise)), np.exp(-np.maximum(t, 0) / fall))
    return np.asarray((kernel / kernel.sum())[::-1].astype(np.float32))


pass

MAX_COLUMNS = 1000
"""Columns; from twice as many on, neighbours share one."""
BLOCK_HOPS = 512
"""Hops that are transformed together."""


class ColumnMeans:
    """Means over rows that come in order: each column of as many rows, so that there are fewer than 2 `most`.

    Args:
        most: columns, at least 1.
    """

    def __init__(self, most: int = MAX_COLUMNS) -> None:
        self._most = most
        self._each = 1
        self._whole: np.ndarray | None = None
        self._rest: np.ndarray | None = None

    def feed(self, rows: np.ndarray) -> None:
        """Take the next rows, float [row, value]."""
        if self._rest is not None:
            rows = np.concatenate((self._rest, rows))
        self._gather(rows)
        while self._whole is not None and len(self._whole) >= 2 * self._most:
            whole, rest = self._whole, self._rest
            odd = len(whole) % 2
            self._whole = whole[: len(whole) - odd].reshape(-1, 2, whole.shape[1]).mean(1)
            # The column without a neighbour waits for one, as so many rows.
            waiting = np.repeat(whole[len(whole) - odd :], self._each, axis=0)
            self._each *= 2
            self._gather(waiting if rest is None else np.concatenate((waiting, rest)))

    @property
    def rows(self) -> int:
        """Rows of a column; the last may have fewer."""
        return self._each

    def means(self) -> np.ndarray:
        """float32 [column, value]."""
        parts = [part for part in (self._whole, self._rest) if part is not None and len(part)]
        if self._rest is not None and len(self._rest):
            parts[-1] = self._rest.mean(0, keepdims=True)
        return np.concatenate(parts).astype(np.float32)

    def _gather(self, rows: np.ndarray) -> None:
        full = len(rows) // self._each * self._each
        means = rows[:full].reshape(-1, self._each, rows.shape[1]).mean(1)
        self._whole = means if self._whole is None else np.concatenate((self._whole, means))
        self._rest = rows[full:]


def measure_column_power(source: AudioSource, most: int = MAX_COLUMNS) -> tuple[np.ndarray, float]:
    """A sound's power in the bands of the canvas.

    Args:
        source: any sound, at least one sample.
        most: columns, about.

    Returns:
        float32 [column, band], the sum over the channels, a full-scale sine near 1; seconds of a column.
    """
    stft = make_stft(source.rate)
    bank, found = make_filterbank(BAND_EDGES, stft), ColumnMeans(most)
    hops, reach = -(-source.n_samples // stft.hop), HALF_WINDOW_HOPS * stft.hop
    for first in range(0, hops, BLOCK_HOPS):
        stop = min(first + BLOCK_HOPS, hops)
        heard = forward_stft(
            read_padded(source, first * stft.hop - reach, (stop - 1) * stft.hop + reach), stft
        )
        found.feed(np.square(np.abs(heard)).sum(0) @ bank)
    return found.means(), found.rows * stft.hop / source.rate
