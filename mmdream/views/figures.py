"""Figures by matplotlib: a dreamed sound, and how its dream grew step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from mmdream.audio.canvas import (
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
from mmdream.audio.source import AudioSource, FileSource
from mmdream.audio.spectra import make_stft
from mmdream.core.files import (
    check_output_file,
    check_output_folder,
    move_folder_into_place,
    output_workspace,
)
from mmdream.media.image import IMAGE_SUFFIXES, write_image, write_numbered_images
from mmdream.settings.report import GrainEvent, Report
from mmdream.settings.schedule import IMAGE_SETTINGS, SCHEDULE_LIMITS, Schedule
from mmdream.views.axes import (
    CURVES_INCHES,
    DYNAMIC_RANGE,
    SPECTROGRAM_INCHES,
    Colors,
    add_legend,
    draw_curves,
    draw_lanes,
    draw_loudness,
    draw_spectrogram,
    lanes_inches,
    level_colors,
    measure_levels,
)
from mmdream.views.canvas import new_figure, rasterize_figure
from mmdream.views.lanes import plan_lanes

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
    ((before, column), (after, _)), top = measure_levels([source, dream])
    gain_column = gains.rows_per_column * make_stft(source.rate).hop / source.rate
    stop = start + source.n_samples / source.rate
    heights = [SPECTROGRAM_INCHES] * 4 + [CURVES_INCHES] * 2
    if (lanes := plan_lanes(Report(grains=tuple(grains)), (start, stop))).lanes:
        heights.insert(2, lanes_inches(lanes))
    figure = new_figure(sum(heights) + 0.6)
    parts = list(figure.subplots(len(heights), sharex=True, height_ratios=heights))
    if lanes.lanes:
        draw_lanes(parts.pop(2), lanes)
    rows = (
        (name, before, column, level_colors(top)),
        ("its dream", after, column, level_colors(top)),
        ("dream over source", after - before, column, CHANGE_COLORS),
        ("the gain that was dreamed", DB_PER_NEPER * gains.means(), gain_column, GAIN_COLORS),
    )
    for axes, (title, values, seconds, colors) in zip(parts, rows, strict=False):
        draw_spectrogram(axes, title, values, (start, start + len(values) * seconds), source.rate, colors)
    draw_loudness(parts[4], {"source": (source, start), "dream": (dream, start)})
    names = [name for name in SCHEDULE_LIMITS if name not in IMAGE_SETTINGS]
    draw_curves(parts[5], {name: schedule.curve(name) for name in names}, np.linspace(start, stop, 800))
    for axes in parts[4:]:
        add_legend(axes)
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
        draw_spectrogram(parts[0], f"{name} after {come}", shown, ends, source.rate, level_colors(top))
        draw_spectrogram(parts[1], "the gain so far", gain, ends, source.rate, GAIN_COLORS)
        if n_parts == 3:
            invented = compute_invented_power(canvases[places, number, N_BANDS:], np.ones(N_BANDS))
            title = "what is invented so far, over a typical sound"
            draw_spectrogram(parts[2], title, 10 * np.log10(invented), ends, source.rate, INVENTED_COLORS)
        parts[-1].set(xlabel="seconds", xlim=(start, start + source.n_samples / source.rate))
        yield rasterize_figure(figure)
