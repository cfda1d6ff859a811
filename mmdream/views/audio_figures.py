"""A picture of a sound's dream: source, dream, what changed, the gain that did it, loudness and schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from mmdream.audio.canvas import (
    BAND_EDGES,
    DB_PER_NEPER,
    INVENTED_START,
    MAX_GAIN,
    MAX_INVENTED,
    MIN_INVENTED,
    N_BANDS,
    ColumnMeans,
    compute_invented_power,
    measure_column_power,
)
from mmdream.audio.chunks import Chunk, crossfade_chunks
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import AudioSource, FileSource, read_blocks
from mmdream.audio.stft import make_stft
from mmdream.core.files import check_output_folder, move_folder_into_place
from mmdream.media import image
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule
from mmdream.views import figure
from mmdream.views.figure import new_figure, rasterize_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DYNAMIC_RANGE = 80.0
"""dB below the loudest place of both sounds that are drawn."""
MAX_CHANGE = 20.0
"""dB of change at which the colours end."""
TICKS_HZ = (100, 300, 1000, 3000, 10000)
"""Written beside a spectrogram."""
SPECTROGRAM_INCHES, CURVES_INCHES = 2.1, 1.5
"""Inches of a spectrogram and of a part with lines."""
GAIN_COLORS = {"cmap": "RdBu_r", "vmin": -DB_PER_NEPER * MAX_GAIN, "vmax": DB_PER_NEPER * MAX_GAIN}
"""How the log gain is coloured: to its limits."""
MIN_LOUDNESS = -70.0
"""LUFS, where the loudness ends below: BS.1770's gate."""


def draw_audio_dream(
    name: str, source: AudioSource, dream: AudioSource, gains: ColumnMeans, schedule: Schedule, start: float
) -> np.ndarray:
    """Draw a dream beside its source.

    Args:
        name: of the source.
        source: at least one sample.
        dream: what became of it, of the same rate and length.
        gains: the log gain that was applied, a row a hop, nepers.
        schedule: what the dream asked for.
        start: seconds of the first sample.

    Returns:
        uint8 [H, W, 3].
    """
    (before, each), (after, _) = measure_column_power(source), measure_column_power(dream)
    top = 10 * np.log10(max(before.max(), after.max(), 1e-12))
    levels = [
        10 * np.log10(np.maximum(power, 10 ** ((top - DYNAMIC_RANGE) / 10))) for power in (before, after)
    ]
    hop = gains.rows * make_stft(source.rate).hop / source.rate
    last = start + source.n_samples / source.rate
    heights = [SPECTROGRAM_INCHES] * 4 + [CURVES_INCHES] * 2
    figure = new_figure(sum(heights) + 0.6)
    parts = figure.subplots(6, sharex=True, height_ratios=heights)
    loud = level_colors(top)
    change = {"cmap": "RdBu_r", "vmin": -MAX_CHANGE, "vmax": MAX_CHANGE}
    rows = (
        (name, levels[0], each, loud),
        ("its dream", levels[1], each, loud),
        ("dream over source", levels[1] - levels[0], each, change),
        ("the gain that was dreamed", DB_PER_NEPER * gains.means(), hop, GAIN_COLORS),
    )
    for axes, (title, values, seconds, colours) in zip(parts, rows, strict=False):
        draw_spectrogram(axes, title, values, (start, start + len(values) * seconds), source.rate, colours)
    for sound, label in ((source, "source"), (dream, "dream")):
        meter = LoudnessMeter(sound.rate, sound.channels, sound.layout)
        for block in read_blocks(sound):
            meter.feed(block)
        loudness = np.maximum(meter.momentary_loudness(), MIN_LOUDNESS)
        parts[4].plot(start + 0.2 + 0.1 * np.arange(len(loudness)), loudness, label=label)
    parts[4].set_title("loudness of 400 ms", loc="left")
    parts[4].set_ylabel("LUFS")
    _draw_schedule(parts[5], schedule, np.linspace(start, last, 800))
    for axes in parts[4:]:
        axes.grid(alpha=0.3)
        # Above, on the title's line: beside it would take the width from all parts.
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=5, frameon=False, fontsize="small")
    parts[5].set(xlabel="seconds", xlim=(start, last))
    return rasterize_figure(figure)


def draw_spectrogram(
    axes: Axes, title: str, values: np.ndarray, ends: tuple[float, float], rate: int, colours: dict[str, Any]
) -> None:
    """Draw values over time and the canvas's bands.

    Args:
        axes: where.
        title: above, on the left.
        values: dB, float [column, band].
        ends: seconds at which the first column begins and the last one ends.
        rate: of the sound, samples a second.
        colours: options of `imshow`, see `level_colors` and `GAIN_COLORS`.
    """
    extent = *ends, -0.5, N_BANDS - 0.5
    image = axes.imshow(
        values.T, origin="lower", aspect="auto", interpolation="none", extent=extent, **colours
    )
    axes.figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    axes.set_title(title, loc="left", parse_math=False)
    _label_frequencies(axes, rate)


def level_colors(top: float) -> dict[str, Any]:
    """How levels are coloured, up to some dB."""
    return {"cmap": "magma", "vmin": top - DYNAMIC_RANGE, "vmax": top}


def _label_frequencies(axes: Axes, rate: int) -> None:
    """Frequencies beside the bands, up to the highest that the sound can hold."""
    centres = BAND_EDGES[1:-1]
    shown = [hz for hz in TICKS_HZ if hz < rate / 2]
    axes.set_yticks(np.interp(shown, centres, np.arange(len(centres))), [f"{hz:,}" for hz in shown])
    axes.set(ylabel="Hz", ylim=(-0.5, float(np.interp(rate / 2, centres, np.arange(len(centres)))) + 0.5))


def _draw_schedule(axes: Axes, schedule: Schedule, at: np.ndarray) -> None:
    """The schedule's curves, each over the largest value it takes here, which stands beside its name."""
    for name in SCHEDULE_LIMITS:
        values = np.asarray(schedule.curve(name).at(at))
        most = max(float(values.max()), 1e-9)
        axes.plot(at, values / most, label=f"{name.replace('_', ' ')} (1 = {most:.3g})")
    axes.set_title("schedule", loc="left")
    axes.set_ylim(-0.05, 1.1)


pass

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


pass
pass


@dataclass(frozen=True)
class AudioFigures:
    """What is to be drawn of one dream, and what is gathered for it while it is dreamed."""

    plot: Path | None
    """The dream beside its source."""
    steps: Path | None
    """A folder: how it grew."""
    evolution: CanvasHistory | None
    overwrite: bool
    """Whether existing ones may be replaced."""
    gains: ColumnMeans = field(default_factory=ColumnMeans)
    """The log gain as it was applied."""

    def __bool__(self) -> bool:
        """Whether anything is to be drawn."""
        return self.plot is not None or self.steps is not None

    def draw(self, name: str, layout: str, schedule: Schedule, start: float, work: Path) -> None:
        """Draw all and lay it where it goes.

        Args:
            name: of the source.
            layout: of its channels.
            schedule: what was asked for.
            start: seconds of the first sample.
            work: where ``source.wav`` and ``sound.wav`` are, of at least one sample.
        """
        with (
            soundfile.SoundFile(work / "source.wav") as heard,
            soundfile.SoundFile(work / "sound.wav") as dream,
        ):
            source, sound = FileSource(heard, layout), FileSource(dream, layout)
            if self.plot is not None:
                figure.write_figure(
                    draw_audio_dream(name, source, sound, self.gains, schedule, start),
                    self.plot,
                    self.overwrite,
                )
            if self.steps is not None and self.evolution is not None:
                folder = work / self.steps.name
                folder.mkdir()
                for number, picture in enumerate(draw_canvas_steps(name, source, self.evolution, start), 1):
                    image.write_image(folder / f"{number:04}.png", picture.astype("float32") / 255)
                move_folder_into_place(folder, self.steps)


def plan_audio_figures(
    out: Path, plot: Path | None, plot_steps: bool, schedule: Schedule, rate: int, overwrite: bool
) -> AudioFigures:
    """Look whether the drawings can go where they should.

    Args:
        out: the dream.
        plot: a picture of it; None: none.
        plot_steps: whether there is to be a folder of how it grew, named as the dream and ``.steps``.
        schedule: how it is dreamed.
        rate: samples a second.
        overwrite: whether existing ones may be replaced.

    Raises:
        UserError: they cannot.
    """
    picture = None if plot is None else figure.check_figure_path(plot, overwrite)
    steps = check_output_folder(out, "steps", overwrite) if plot_steps else None
    return AudioFigures(picture, steps, CanvasHistory(schedule, rate) if plot_steps else None, overwrite)
