"""A picture of a sound's dream: source, dream, what changed, the gain that did it, loudness and schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mmdream.audio.canvas import (
    BAND_EDGES,
    DB_PER_NEPER,
    MAX_GAIN,
    N_BANDS,
    ColumnMeans,
    measure_column_power,
)
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import AudioSource, read_blocks
from mmdream.audio.stft import make_stft
from mmdream.jobs.figure import new_figure, rasterize_figure
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule

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
