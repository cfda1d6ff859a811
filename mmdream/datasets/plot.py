"""A picture of a set: how many files each class has, how long or how large they are, and some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import soundfile
from scipy.signal import stft

from mmdream.core.errors import UserError
from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.media import image
from mmdream.views import figure
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, text_width, truncate_text

TILE_SIZE = 96
"""Side of a sample, px."""
SAMPLES_PER_CLASS = 6
"""Of each class."""
MAX_CLASSES = 60
"""That are drawn; the largest ones, where a set has more."""
HISTOGRAM_BINS = 24
"""Of the histogram."""
MAX_MEASURED = 2000
"""Files whose length or size is read for it; of more, evenly spaced ones."""
GAP, MARGIN, TITLE_HEIGHT, NAME_WIDTH, BAR_WIDTH = 8, 16, 44, 190, 220
"""px: between samples, round the sheet, of the title, of the names and of the bars."""
HEADING_HEIGHT, HISTOGRAM_HEIGHT, FOOT_HEIGHT = 48, 130, 40
"""px: of the words above the histogram, of its bars, and of the numbers below."""
BAR_COLOR = (86, 140, 186)
"""Colour of bars, RGB."""
SAMPLE_RATE = 22_050
RANGE_DB = 70
"""Range of a drawn spectrum, below its loudest place."""


def write_dataset_plot(of: Dataset, output: Path, overwrite: bool) -> Path:
    """Write the picture of a set.

    Args:
        of: the set.
        output: its suffix chooses the format.
        overwrite: whether an existing file may be replaced.

    Returns:
        The name of what was written.

    Raises:
        UserError: it cannot go where it should.
    """
    out = figure.check_figure_path(output, overwrite)
    figure.write_figure(plot_dataset(of), out, overwrite)
    return out


def plot_dataset(of: Dataset) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]: a row for each class, with its count and samples, and a histogram below."""
    counts = of.counts()
    shown = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_CLASSES]
    most = max(counts.values())
    wide, tall = (
        2 * MARGIN + NAME_WIDTH + BAR_WIDTH + SAMPLES_PER_CLASS * (TILE_SIZE + GAP),
        len(shown) * (TILE_SIZE + GAP),
    )
    sheet = blank_canvas(TITLE_HEIGHT + tall + HEADING_HEIGHT + HISTOGRAM_HEIGHT + FOOT_HEIGHT, wide)
    files_in_all = f"{sum(counts.values())} files in {len(counts)} classes"
    left = f", the largest {len(shown)}" if len(shown) < len(counts) else ""
    draw_text(sheet, f"{of.name}: {files_in_all}{left}", (MARGIN, 29), 17, TEXT_GREY)
    for number, name in enumerate(shown):
        top = TITLE_HEIGHT + number * (TILE_SIZE + GAP)
        middle = top + TILE_SIZE // 2
        draw_text(sheet, truncate_text(name, 14, NAME_WIDTH - GAP), (MARGIN, middle + 5), 14, TEXT_GREY)
        x = MARGIN + NAME_WIDTH
        bar = round((BAR_WIDTH - 60) * counts[name] / most)
        sheet[middle - 8 : middle + 8, x : x + bar] = BAR_COLOR
        draw_text(sheet, str(counts[name]), (x + bar + GAP, middle + 5), 14, DIM_GREY)
        for column, tile in enumerate(_draw_samples(of, name)):
            left_edge = x + BAR_WIDTH + column * (TILE_SIZE + GAP)
            sheet[top : top + TILE_SIZE, left_edge : left_edge + TILE_SIZE] = tile
    _draw_histogram(sheet, of)
    return sheet


def _draw_samples(of: Dataset, name: str) -> list[np.ndarray]:
    """Some examples of a class, evenly spaced among its files; a damaged one is left dark."""
    examples = [example for example in of.examples if of.classes[example.label] == name]
    tiles = []
    for k in range(min(SAMPLES_PER_CLASS, len(examples))):
        try:
            tiles.append(_draw_tile(of, examples[k * len(examples) // min(SAMPLES_PER_CLASS, len(examples))]))
        except UserError:
            tiles.append(blank_canvas(TILE_SIZE, TILE_SIZE))
    return tiles


def _draw_tile(of: Dataset, example: Example) -> np.ndarray:
    """What an example looks like, uint8 [TILE, TILE, 3]."""
    whole = load_example(of, example, ExampleFormat(side=TILE_SIZE, rate=SAMPLE_RATE))
    if of.medium == "picture":
        return np.rint(whole * 255).astype(np.uint8)
    return draw_spectrogram(whole)


def draw_spectrogram(samples: np.ndarray) -> np.ndarray:
    """A sound's spectrum over time, low tones below, uint8 [TILE, TILE, 3].

    Args:
        samples: float32 [samples], at `SAMPLE_RATE`.
    """
    if len(samples) < 1024:
        samples = np.pad(samples, (0, 1024 - len(samples)))
    power = np.square(np.abs(stft(samples, SAMPLE_RATE, nperseg=512, noverlap=256)[2])) + 1e-12
    level = 10 * np.log10(power / power.max())
    bright = np.clip(1 + level[::-1] / RANGE_DB, 0, 1).astype(np.float32)
    grey = np.rint(cv2.resize(bright, (TILE_SIZE, TILE_SIZE), interpolation=cv2.INTER_AREA) * 255).astype(
        np.uint8
    )
    coloured: np.ndarray = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return coloured


def _draw_histogram(sheet: np.ndarray, of: Dataset) -> None:
    """Draw how long the sounds are, or how large the pictures, at the foot of the sheet."""
    step = max(1, len(of.examples) // MAX_MEASURED)
    sizes = measure_examples(of.medium, of.examples[::step])
    what, unit = ("length", "s") if of.medium == "sound" else ("shorter side", "px")
    foot = sheet.shape[0] - FOOT_HEIGHT
    heading = (MARGIN, foot - HISTOGRAM_HEIGHT - 16)
    if not len(sizes):
        draw_text(sheet, f"{what}: no file can be read", heading, 14, TEXT_GREY)
        return
    low, half, far = (float(each) for each in np.quantile(sizes, (0, 0.5, 1)))
    draw_text(
        sheet, f"{what}: {low:.4g} to {far:.4g} {unit}, median {half:.4g} {unit}", heading, 14, TEXT_GREY
    )
    found, edges = np.histogram(sizes, HISTOGRAM_BINS, (low, far if far > low else low + 1))
    pitch = (sheet.shape[1] - 2 * MARGIN) / HISTOGRAM_BINS
    for k, count in enumerate(found):
        # The smallest one shows too: it is what one looks for.
        high = max(2 * bool(count), round(HISTOGRAM_HEIGHT * count / found.max()))
        x = MARGIN + round(k * pitch)
        sheet[foot - high : foot, x : x + max(1, round(pitch) - 2)] = BAR_COLOR
    for k in range(0, HISTOGRAM_BINS + 1, 4):
        text = f"{edges[k]:.3g}"
        x = min(max(MARGIN + round(k * pitch), MARGIN + text_width(text, 12) // 2), sheet.shape[1] - MARGIN)
        draw_text(sheet, text, (x, foot + 18), 12, DIM_GREY, 0.5)


def measure_examples(medium: str, examples: Sequence[Example]) -> np.ndarray:
    """Seconds of sounds, or px of pictures' shorter sides, float64 [n]; damaged files are passed over."""
    sizes = []
    for example in examples:
        try:
            if medium == "sound":
                told = soundfile.info(example.file)
                sizes.append(told.frames / told.samplerate)
            else:
                sizes.append(min(image.read_image(example.file).shape[:2]))
        except (UserError, soundfile.SoundFileError, OSError):
            continue
    return np.array(sizes, np.float64)
