"""How a sound's dream grows: a picture for every few steps, of the dream so far and of its gain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmdream.audio.canvas import (
    DB_PER_NEPER,
    INVENTED_START,
    MAX_INVENTED,
    MIN_INVENTED,
    N_BANDS,
    ColumnMeans,
    compute_invented_power,
    measure_column_power,
)
from mmdream.audio.chunks import Chunk, crossfade_chunks
from mmdream.audio.source import AudioSource
from mmdream.audio.stft import make_stft
from mmdream.jobs.figure import new_figure, rasterize_figure
from mmdream.jobs.portrait import (
    DYNAMIC_RANGE,
    GAIN_COLORS,
    SPECTROGRAM_INCHES,
    draw_spectrogram,
    level_colors,
)
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule

MAX_FIGURES = 24
"""Pictures; where there are more steps, they are evenly spaced among them and end with the last."""
SILENCE_HOPS = 512
"""Hops of silence that are laid down at once."""
EXCITATION_COLORS = {
    "cmap": "magma",
    "vmin": DB_PER_NEPER * INVENTED_START - 30,
    "vmax": DB_PER_NEPER * (INVENTED_START + MAX_INVENTED),
}
"""How new energy is coloured: up to its limit."""


class CanvasHistory:
    """The canvases of all chunks at evenly spaced steps, in as many columns as a picture has room for.

    Args:
        schedule: what is dreamed.
        rate: of the sound, samples a second.
    """

    def __init__(self, schedule: Schedule, rate: int) -> None:
        from mmdream.audio.chunk_ascent import count_octaves  # Here, for it brings TensorFlow in.

        moments = [schedule.at(when) for name in SCHEDULE_LIMITS for when, _ in schedule.curve(name).keys]
        octaves = max(count_octaves(moment.octaves, moment.octave_scale) for moment in moments)
        self.count = max(1, min(MAX_FIGURES, octaves * max(moment.steps for moment in moments)))
        self.totals: set[int] = set()
        """Steps that the chunks took."""
        self._strength, self._hop = schedule.curve("strength"), make_stft(rate).hop / rate
        self._columns = ColumnMeans()
        self._chunk: Chunk | None = None
        self._canvases = np.zeros((0, self.count, N_BANDS), np.float32)
        self._held: tuple[Chunk, np.ndarray] | None = None
        self._first: int | None = None
        self._next = 0

    def feed(self, chunk: Chunk, done: int, total: int, canvas: np.ndarray) -> None:
        """Take a chunk's canvas after some of its steps, see `climb.Stage.shown`."""
        if chunk != self._chunk:
            self._join()
            self._chunk = chunk
            self._canvases = np.zeros((len(canvas), self.count, canvas.shape[1]), np.float32)
            self.totals.add(total)
        for number in range(self.count):
            if round(total * (number + 1) / self.count) == done:
                self._canvases[:, number] = canvas

    def means(self) -> tuple[np.ndarray, float, float]:
        """What was fed; nothing can be fed after it.

        Returns:
            Log gains as they are applied and, where something is invented, that, nepers, float32 [column,
            picture, band or two bands]; the second at which the first column begins, on the clock of the
            chunks; seconds of a column.
        """
        self._join()
        if self._held is not None:
            for first, canvas in crossfade_chunks([self._held]):
                self._lay(first, canvas)
        if self._first is None:
            return np.zeros((1, self.count, N_BANDS), np.float32), 0.0, self._hop
        means = self._columns.means().reshape(-1, self.count, self._canvases.shape[2])
        return means, self._first * self._hop, self._columns.rows * self._hop

    def _join(self) -> None:
        """Lay down what the newest chunk leaves of the one before it, and hold the newest."""
        if self._chunk is None:
            return
        newest = self._chunk, self._canvases.reshape(len(self._canvases), -1)
        self._chunk = None
        if self._held is not None:
            # Chunks of no strength are not dreamed; what lies beside them has faded out before them.
            beside = self._held[0].number + 1 == newest[0].number
            first, canvas = next(crossfade_chunks([self._held, newest] if beside else [self._held]))
            self._lay(first, canvas)
        self._held = newest

    def _lay(self, first: int, canvas: np.ndarray) -> None:
        """Append a stretch; its beginning may be there already, and silence may lie before it."""
        if self._first is None:
            self._first = self._next = first
        # Where there is no strength: no gain, and the least that is invented.
        planes = canvas.shape[1] // self.count // N_BANDS
        nothing = np.tile(np.repeat(np.array([0.0, MIN_INVENTED][:planes], np.float32), N_BANDS), self.count)
        while self._next < first:
            silent = min(SILENCE_HOPS, first - self._next)
            self._columns.feed(np.tile(nothing, (silent, 1)))
            self._next += silent
        rows = canvas[self._next - first :]
        share = self._strength.at((self._next + np.arange(len(rows))) * self._hop).astype(np.float32)
        shares = np.stack((share, np.minimum(share, 1))[:planes], axis=1)
        each = np.tile(np.repeat(shares, N_BANDS, axis=1), self.count)
        self._columns.feed(nothing + each * (rows - nothing))
        self._next += len(rows)


def draw_canvas_steps(
    name: str, source: AudioSource, evolution: CanvasHistory, start: float
) -> Iterator[np.ndarray]:
    """Draw how a dream grew.

    Args:
        name: of the source.
        source: at least one sample.
        evolution: what was fed while it was dreamed.
        start: seconds of the first sample.

    Yields:
        `evolution.count` pictures, uint8 [H, W, 3]: the source under the gain so far, before its loudness is
        matched, the gain, and what is invented, if anything is.
    """
    power, each = measure_column_power(source)
    canvases, begin, column = evolution.means()
    middles = start + (np.arange(len(power)) + 0.5) * each
    places = np.clip(((middles - begin) / column).astype(int), 0, len(canvases) - 1)
    level = 10 * np.log10(np.maximum(power, 1e-30))
    top = max(level.max(), (level + DB_PER_NEPER * canvases[places, -1, :N_BANDS]).max(), -120.0)
    ends = start, start + len(power) * each
    last = start + source.n_samples / source.rate
    invents = canvases.shape[2] > N_BANDS
    for number in range(evolution.count):
        gain = DB_PER_NEPER * canvases[places, number, :N_BANDS]
        figure = new_figure((3 if invents else 2) * SPECTROGRAM_INCHES + 0.6)
        parts = figure.subplots(3 if invents else 2, sharex=True)
        said = f"{name} after {_format_steps(number + 1, evolution)}"
        shown = np.maximum(level + gain, top - DYNAMIC_RANGE)
        draw_spectrogram(parts[0], said, shown, ends, source.rate, level_colors(top))
        draw_spectrogram(parts[1], "the gain so far", gain, ends, source.rate, GAIN_COLORS)
        if invents:
            new = 10 * np.log10(compute_invented_power(canvases[places, number, N_BANDS:], np.ones(N_BANDS)))
            title = "what is invented so far, over a typical sound"
            draw_spectrogram(parts[2], title, new, ends, source.rate, EXCITATION_COLORS)
        parts[-1].set(xlabel="seconds", xlim=(start, last))
        yield rasterize_figure(figure)


def _format_steps(number: int, evolution: CanvasHistory) -> str:
    """How far a picture's dream has come, in words."""
    if len(evolution.totals) == 1:
        (total,) = evolution.totals
        return f"{round(total * number / evolution.count)} of {total} steps"
    return f"{number / evolution.count:.0%} of its steps"
