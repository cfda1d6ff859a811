"""Figures by matplotlib: a dreamed sound, and how its dream grew step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
from mmdream.audio.chunks import Chunk, DreamHooks, crossfade_chunks
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import AudioSource, FileSource, read_blocks
from mmdream.audio.spectra import make_stft
from mmdream.core.files import (
    check_output_file,
    check_output_folder,
    move_folder_into_place,
    output_workspace,
)
from mmdream.media.image import IMAGE_SUFFIXES, write_image, write_numbered_images
from mmdream.settings.report import GrainEvent
from mmdream.settings.schedule import IMAGE_SETTINGS, SCHEDULE_LIMITS, Schedule
from mmdream.views.canvas import new_figure, rasterize_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECTROGRAM_INCHES, CURVES_INCHES, LANE_INCHES = 2.1, 1.5, 0.9
"""Heights of the parts of a figure."""
LANE_ROWS = 4
"""Of grains below one another, so that their names have room."""
DYNAMIC_RANGE = 80.0
"""dB below the loudest place that are drawn."""
MIN_LOUDNESS = -70.0
"""LUFS, where the loudness curve ends below: the gate of BS.1770."""
TICKS_HZ = (100, 300, 1000, 3000, 10000)
Colors = tuple[str, float, float]
"""A color map of matplotlib, and the dB at which it begins and ends."""
GAIN_COLORS: Colors = "RdBu_r", -DB_PER_NEPER * MAX_GAIN, DB_PER_NEPER * MAX_GAIN
CHANGE_COLORS: Colors = "RdBu_r", -20.0, 20.0
MAX_INVENTED_DB = DB_PER_NEPER * (INVENTED_START + MAX_INVENTED)
INVENTED_COLORS: Colors = "magma", DB_PER_NEPER * INVENTED_START - 30, MAX_INVENTED_DB
MAX_FIGURES = 24
"""Figures of a growing dream; of more steps, evenly spaced ones that end with the last."""
SILENT_HOPS = 512
"""Hops of silence that are appended at once."""


def check_figure_path(output: Path, overwrite: bool) -> Path:
    """The path of a figure, checked before the work; a `UserError` where nothing can be written."""
    return check_output_file(None, output, ".png", IMAGE_SUFFIXES, overwrite, "--plot")


def write_figure(rgb: np.ndarray, output: Path, overwrite: bool) -> None:
    """Write a figure, uint8 [H, W, 3]; the suffix chooses the format."""
    with output_workspace(output, overwrite) as work:
        write_image(work / output.name, rgb)


class AudioFigures:
    """The figures of one dreamed sound, see `render.audio.AudioObserver`."""

    def __init__(self, plot: Path | None, plot_steps: bool, overwrite: bool) -> None:
        """Draw into `plot`, if given, and with `plot_steps` how it grew into a folder, ``DREAM.steps``."""
        self._plot, self._plot_steps, self._overwrite = plot, plot_steps, overwrite
        self._gains = ColumnMeans()
        self._history: CanvasHistory | None = None
        self._folder: Path | None = None

    def begin(self, out: Path, schedule: Schedule, rate: int) -> DreamHooks:
        """See `AudioObserver`."""
        if self._plot is not None:
            check_figure_path(self._plot, self._overwrite)
        if self._plot_steps:
            self._folder = check_output_folder(out, "steps", self._overwrite)
            self._history = CanvasHistory(schedule, rate)
        return DreamHooks(
            on_gain=None if self._plot is None else self._gains.feed,
            on_canvas=None if self._history is None else self._history.feed,
        )

    def finish(
        self,
        name: str,
        layout: str,
        schedule: Schedule,
        start: float,
        work: Path,
        grains: Sequence[GrainEvent],
    ) -> None:
        """See `AudioObserver`."""
        with (
            soundfile.SoundFile(work / "source.wav") as source_file,
            soundfile.SoundFile(work / "sound.wav") as dream_file,
        ):
            source, dream = FileSource(source_file, layout), FileSource(dream_file, layout)
            if self._plot is not None:
                rgb = draw_audio_dream(name, source, dream, self._gains, schedule, start, grains)
                write_figure(rgb, self._plot, self._overwrite)
            if self._folder is not None and self._history is not None:
                write = write_numbered_images(work / self._folder.name)
                for rgb in draw_canvas_steps(name, source, self._history, start):
                    write(rgb)
                move_folder_into_place(work / self._folder.name, self._folder)


def draw_audio_dream(
    name: str,
    source: AudioSource,
    dream: AudioSource,
    gains: ColumnMeans,
    schedule: Schedule,
    start: float,
    grains: Sequence[GrainEvent] = (),
) -> np.ndarray:
    """Draw source, dream, grains, change, gain, loudness and schedule over time, uint8 [H, W, 3].

    Both have the same rate and length, at least one sample, the first at second `start`; `gains` holds the
    log gain that was applied, nepers, a row per hop. Without grains there is no lane for them.
    """
    (before, column), (after, _) = measure_column_power(source), measure_column_power(dream)
    top = 10 * np.log10(max(before.max(), after.max(), 1e-12))
    floor = 10 ** ((top - DYNAMIC_RANGE) / 10)
    levels = [10 * np.log10(np.maximum(power, floor)) for power in (before, after)]
    gain_column = gains.rows_per_column * make_stft(source.rate).hop / source.rate
    stop = start + source.n_samples / source.rate
    heights = [SPECTROGRAM_INCHES] * 4 + [CURVES_INCHES] * 2
    if grains:
        heights.insert(2, LANE_INCHES)
    figure = new_figure(sum(heights) + 0.6)
    parts = list(figure.subplots(len(heights), sharex=True, height_ratios=heights))
    if grains:
        _draw_grains(parts.pop(2), grains)
    rows = (
        (name, levels[0], column, level_colors(top)),
        ("its dream", levels[1], column, level_colors(top)),
        ("dream over source", levels[1] - levels[0], column, CHANGE_COLORS),
        ("the gain that was dreamed", DB_PER_NEPER * gains.means(), gain_column, GAIN_COLORS),
    )
    for axes, (title, values, seconds, colors) in zip(parts, rows, strict=False):
        _draw_spectrogram(axes, title, values, (start, start + len(values) * seconds), source.rate, colors)
    _draw_loudness(parts[4], {"source": source, "dream": dream}, start)
    _draw_schedule(parts[5], schedule, np.linspace(start, stop, 800))
    for axes in parts[4:]:
        axes.grid(alpha=0.3)
        # Above, on the title's line: beside it would take the width from all parts.
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=5, frameon=False, fontsize="small")
    parts[5].set(xlabel="seconds", xlim=(start, stop))
    return rasterize_figure(figure)


class CanvasHistory:
    """The canvases of all chunks after evenly spaced steps, averaged into columns of a figure."""

    def __init__(self, schedule: Schedule, rate: int) -> None:
        from mmdream.audio.chunk_dream import count_octaves  # Here, for it brings TensorFlow in.

        keyed = [schedule.at(when) for name in SCHEDULE_LIMITS for when, _ in schedule.curve(name).keys]
        octaves = max(count_octaves(settings.octaves, settings.octave_scale) for settings in keyed)
        self.count = max(1, min(MAX_FIGURES, octaves * max(settings.steps for settings in keyed)))
        self.totals: set[int] = set()
        """Numbers of steps that the chunks took."""
        self._strength, self._hop = schedule.curve("strength"), make_stft(rate).hop / rate
        self._columns = ColumnMeans()
        self._newest: tuple[Chunk, np.ndarray] | None = None
        self._held: tuple[Chunk, np.ndarray] | None = None
        self._first: int | None = None
        self._next = 0

    def feed(self, chunk: Chunk, done: int, total: int, canvas: np.ndarray) -> None:
        """Take a chunk's canvas, float32 [hop, band], after `done` of its `total` steps."""
        if self._newest is None or chunk != self._newest[0]:
            self._append_held()
            self._newest = chunk, np.zeros((len(canvas), self.count, canvas.shape[1]), np.float32)
            self.totals.add(total)
        for number in range(self.count):
            if round(total * (number + 1) / self.count) == done:
                self._newest[1][:, number] = canvas

    def mean_canvases(self) -> tuple[np.ndarray, float, float]:
        """The canvases as they were applied: [column, figure, bands], first second, seconds of a column.

        Log gains and behind them, if something is invented, its log amplitudes; nothing can be fed after it.
        """
        self._append_held()
        if self._held is None or self._first is None:
            return np.zeros((1, self.count, N_BANDS), np.float32), 0.0, self._hop
        for first, canvas in crossfade_chunks([self._held]):
            self._append_rows(first, canvas)
        means, column = self._columns.means(), self._columns.rows_per_column * self._hop
        return means.reshape(len(means), self.count, -1), self._first * self._hop, column

    def _append_held(self) -> None:
        """Append what the newest chunk leaves of the one before it, and hold the newest."""
        if self._newest is None:
            return
        newest = self._newest[0], self._newest[1].reshape(len(self._newest[1]), -1)
        self._newest = None
        if self._held is None:
            self._first = self._next = newest[0].first
        else:
            # Chunks of no strength are not dreamed; what lies beside them has faded out before them.
            beside = self._held[0].number + 1 == newest[0].number
            self._append_rows(*next(crossfade_chunks([self._held, newest] if beside else [self._held])))
        self._held = newest

    def _append_rows(self, first: int, canvas: np.ndarray) -> None:
        """Append rows; some may be there already, and silence may lie before them."""
        # Where there is no strength: no gain, and the least that is invented.
        planes = canvas.shape[1] // self.count // N_BANDS
        silent = np.tile(np.repeat(np.array([0.0, MIN_INVENTED][:planes], np.float32), N_BANDS), self.count)
        for begin in range(self._next, first, SILENT_HOPS):
            self._columns.feed(np.tile(silent, (min(SILENT_HOPS, first - begin), 1)))
        self._next = max(self._next, first)
        rows = canvas[self._next - first :]
        share = self._strength.at((self._next + np.arange(len(rows))) * self._hop).astype(np.float32)
        shares = np.stack((share, np.minimum(share, 1))[:planes], axis=1)
        shares = np.tile(np.repeat(shares, N_BANDS, axis=1), self.count)
        self._columns.feed(silent + shares * (rows - silent))
        self._next += len(rows)


def draw_canvas_steps(
    name: str, source: AudioSource, history: CanvasHistory, start: float
) -> Iterator[np.ndarray]:
    """Draw how a dream grew: the source under the gain so far, the gain, and what is invented, if anything.

    Yields `history.count` figures, uint8 [H, W, 3], of a sound of at least one sample, the first at second
    `start`. The loudness is not yet matched.
    """
    power, column = measure_column_power(source)
    canvases, begin, canvas_column = history.mean_canvases()
    middles = start + (np.arange(len(power)) + 0.5) * column
    places = np.clip(((middles - begin) / canvas_column).astype(int), 0, len(canvases) - 1)
    level = 10 * np.log10(np.maximum(power, 1e-30))
    top = max(level.max(), (level + DB_PER_NEPER * canvases[places, -1, :N_BANDS]).max(), -120.0)
    ends = start, start + len(power) * column
    n_parts = 3 if canvases.shape[2] > N_BANDS else 2
    for number in range(history.count):
        gain = DB_PER_NEPER * canvases[places, number, :N_BANDS]
        figure = new_figure(n_parts * SPECTROGRAM_INCHES + 0.6)
        parts = figure.subplots(n_parts, sharex=True)
        come = f"{(number + 1) / history.count:.0%} of its steps"
        if len(history.totals) == 1:
            (total,) = history.totals
            come = f"{round(total * (number + 1) / history.count)} of {total} steps"
        shown = np.maximum(level + gain, top - DYNAMIC_RANGE)
        _draw_spectrogram(parts[0], f"{name} after {come}", shown, ends, source.rate, level_colors(top))
        _draw_spectrogram(parts[1], "the gain so far", gain, ends, source.rate, GAIN_COLORS)
        if n_parts == 3:
            invented = compute_invented_power(canvases[places, number, N_BANDS:], np.ones(N_BANDS))
            title = "what is invented so far, over a typical sound"
            _draw_spectrogram(parts[2], title, 10 * np.log10(invented), ends, source.rate, INVENTED_COLORS)
        parts[-1].set(xlabel="seconds", xlim=(start, start + source.n_samples / source.rate))
        yield rasterize_figure(figure)


def _draw_spectrogram(
    axes: Axes, title: str, values: np.ndarray, ends: tuple[float, float], rate: int, colors: Colors
) -> None:
    """Draw values, dB, [column, band], between two seconds, up to half the rate."""
    cmap, low, high = colors
    shown = axes.imshow(
        values.T, origin="lower", aspect="auto", interpolation="none", cmap=cmap, vmin=low, vmax=high,
        extent=(*ends, -0.5, N_BANDS - 0.5),
    )  # fmt: skip
    axes.figure.colorbar(shown, ax=axes, label="dB", pad=0.01)
    axes.set_title(title, loc="left", parse_math=False)
    centers, bands = BAND_EDGES[1:-1], np.arange(N_BANDS)
    ticks = [hz for hz in TICKS_HZ if hz < rate / 2]
    axes.set_yticks(np.interp(ticks, centers, bands), [f"{hz:,}" for hz in ticks])
    axes.set(ylabel="Hz", ylim=(-0.5, float(np.interp(rate / 2, centers, bands)) + 0.5))


def level_colors(top: float) -> Colors:
    """Colors of levels up to `top` dB."""
    return "magma", top - DYNAMIC_RANGE, top


def _draw_loudness(axes: Axes, sounds: dict[str, AudioSource], start: float) -> None:
    """The momentary loudness of sounds by name."""
    for name, sound in sounds.items():
        meter = LoudnessMeter(sound.rate, sound.channels, sound.layout)
        for block in read_blocks(sound):
            meter.feed(block)
        loudness = np.maximum(meter.momentary_loudness(), MIN_LOUDNESS)
        axes.plot(start + 0.2 + 0.1 * np.arange(len(loudness)), loudness, label=name)
    axes.set_title("loudness of 400 ms", loc="left")
    axes.set_ylabel("LUFS")


def _draw_grains(axes: Axes, grains: Sequence[GrainEvent]) -> None:
    """Grains as named blocks in rows that are taken in turn, each kind in its own colour."""
    kinds = sorted({grain.kind for grain in grains})
    for number, grain in enumerate(grains):
        row, color = -(number % LANE_ROWS), f"C{kinds.index(grain.kind) % 10}"
        axes.barh(row, grain.length, left=grain.seconds, height=0.8, color=color, alpha=0.5, linewidth=0)
        axes.text(grain.seconds, row, grain.kind, fontsize=6, va="center", clip_on=True)
    axes.set_title("recorded events in the dream", loc="left")
    axes.set_ylim(0.6 - LANE_ROWS, 0.6)
    axes.set_yticks([])


def _draw_schedule(axes: Axes, schedule: Schedule, seconds: np.ndarray) -> None:
    """The schedule's curves, each over its largest value here."""
    for name in (each for each in SCHEDULE_LIMITS if each not in IMAGE_SETTINGS):
        values = np.asarray(schedule.curve(name).at(seconds))
        most = max(float(values.max()), 1e-9)
        axes.plot(seconds, values / most, label=f"{name.replace('_', ' ')} (1 = {most:.3g})")
    axes.set_title("schedule", loc="left")
    axes.set_ylim(-0.05, 1.1)
