"""A sound of any length in as many columns as a picture has room for, in constant memory."""

from __future__ import annotations

import numpy as np

from mmdream.sound.canvas import BAND_EDGES
from mmdream.sound.front import make_filterbank
from mmdream.sound.source import AudioSource, read_padded
from mmdream.sound.stft import HALF_WINDOW_HOPS, forward_stft, make_stft

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
