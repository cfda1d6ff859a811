"""Parts of figures by matplotlib, over time: spectrograms, loudness, lanes that answer each other, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmdream.audio.canvas import BAND_EDGES, N_BANDS, measure_column_power
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.source import AudioSource, read_blocks
from mmdream.settings.schedule import Curve
from mmdream.views.canvas import Color
from mmdream.views.lanes import Lanes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECTROGRAM_INCHES, CURVES_INCHES, ROW_INCHES = 2.1, 1.5, 0.155
"""Heights of the parts of a figure, and of a row of lanes."""
DYNAMIC_RANGE = 80.0
"""dB below the loudest place that are drawn."""
MIN_LOUDNESS = -70.0
"""LUFS, where the loudness curve ends below: the gate of BS.1770."""
TICKS_HZ = (100, 300, 1000, 3000, 10000)
LINK_ALPHA = 0.45
"""Opacity of a link between lanes."""
DARKER = 0.75
"""What letters are of a colour, to be read on white."""
TITLE_COLOR: Color = (0, 0, 0)
Colors = tuple[str, float, float]
"""A color map of matplotlib, and the dB at which it begins and ends."""


def measure_levels(sounds: Sequence[AudioSource]) -> tuple[list[tuple[np.ndarray, float]], float]:
    """Each sound's level, dB [column, band], with the seconds of a column; and the highest level of all.

    What lies `DYNAMIC_RANGE` below that is as high as it.
    """
    powers = [measure_column_power(sound) for sound in sounds]
    top = 10 * np.log10(max(*(power.max() for power, _ in powers), 1e-12))
    floor = 10 ** ((top - DYNAMIC_RANGE) / 10)
    return [(10 * np.log10(np.maximum(power, floor)), column) for power, column in powers], top


def draw_spectrogram(
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


def draw_loudness(axes: Axes, sounds: Mapping[str, tuple[AudioSource, float]]) -> None:
    """Draw the momentary loudness of sounds by name, each with the second of its first sample."""
    for name, (sound, start) in sounds.items():
        meter = LoudnessMeter(sound.rate, sound.channels, sound.layout)
        for block in read_blocks(sound):
            meter.feed(block)
        loudness = np.maximum(meter.momentary_loudness(), MIN_LOUDNESS)
        axes.plot(start + 0.2 + 0.1 * np.arange(len(loudness)), loudness, label=name)
    axes.set_title("loudness of 400 ms", loc="left")
    axes.set_ylabel("LUFS")


def draw_lanes(axes: Axes, lanes: Lanes) -> None:
    """Draw lanes below one another, and the links between them; the time is that of the axes."""
    from matplotlib.collections import PolyCollection

    for color in dict.fromkeys(link.color for link in lanes.links):
        corners = [lanes.corners(link) for link in lanes.links if link.color == color]
        axes.add_collection(PolyCollection(corners, facecolor=_scale(color), alpha=LINK_ALPHA, zorder=1))
    names: list[tuple[float, str, Color]] = []
    for number, lane in enumerate(lanes.lanes):
        names.append((lanes.top((number, 0)) - 0.5, lane.title, TITLE_COLOR))
        for k, row in enumerate(lane.rows):
            top = lanes.top((number, k))
            ends = [(block.start, block.stop - block.start) for block in row.blocks]
            shades = [(*_scale(row.color), block.strength) for block in row.blocks]
            # White below, so that no link shows through what is drawn faintly.
            for colors in ("white", shades):
                axes.broken_barh(ends, (top + 0.12, 0.76), facecolors=colors, linewidth=0, zorder=2)
            names.append((top + 0.5, row.name, row.color))
    axes.set_yticks([at for at, _, _ in names], [name for _, name, _ in names], fontsize=8, parse_math=False)
    for label, (_, _, color) in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(_scale(color, DARKER))
    axes.tick_params("y", length=0)
    axes.set_ylim(lanes.height + 0.15, 0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _scale(color: Color, factor: float = 1.0) -> tuple[float, float, float]:
    """A colour of 255 as one of 1, times a factor."""
    red, green, blue = (factor * each / 255 for each in color)
    return red, green, blue


def lanes_inches(lanes: Lanes) -> float:
    """Height of the part of a figure that lanes are drawn in."""
    return lanes.height * ROW_INCHES + 0.1


def draw_curves(axes: Axes, curves: Mapping[str, Curve], seconds: np.ndarray) -> None:
    """Draw curves by name at rising seconds, each over its largest value there."""
    for name, curve in curves.items():
        values = np.asarray(curve.at(seconds))
        most = max(float(values.max()), 1e-9)
        axes.plot(seconds, values / most, label=f"{name.replace('_', ' ')} (1 = {most:.3g})")
    axes.set_title("schedule", loc="left")
    axes.set_ylim(-0.05, 1.1)


def add_legend(axes: Axes) -> None:
    """Name the lines above, on the title's line: beside it would take the width from all parts."""
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=5, frameon=False, fontsize="small")
