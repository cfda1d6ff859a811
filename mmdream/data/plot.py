"""A picture of a set: how many files each class has, how long or how large they are, and some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import soundfile
from scipy.signal import stft

from mmdream.data.folder import Dataset, Example
from mmdream.data.load import Form, row
from mmdream.errors import UserError
from mmdream.jobs import figure
from mmdream.jobs.captions import DIM, INK, ground, length, shortened, written
from mmdream.picture import files

TILE = 96
"""Side of a sample, px."""
SAMPLES = 6
"""Of each class."""
MOST_CLASSES = 60
"""That are drawn; the largest ones, where a set has more."""
BINS = 24
"""Of the histogram."""
MOST_MEASURED = 2000
"""Files whose length or size is read for it; of more, evenly spaced ones."""
GAP, MARGIN, TITLE, NAMES, BARS = 8, 16, 44, 190, 220
"""px: between samples, round the sheet, of the title, of the names and of the bars."""
HEADING, HISTOGRAM, FOOT = 48, 130, 40
"""px: of the words above the histogram, of its bars, and of the numbers below."""
BAR = (86, 140, 186)
"""Colour of bars, RGB."""
RATE = 22_050
LOUDEST_DB = 70
"""Range of a drawn spectrum, below its loudest place."""


def plot_file(of: Dataset, output: Path, overwrite: bool) -> Path:
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
    out = figure.place(output, overwrite)
    figure.write(plot(of), out, overwrite)
    return out


def plot(of: Dataset) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]: a row for each class, with its count and samples, and a histogram below."""
    counts = of.counts()
    shown = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_CLASSES]
    most = max(counts.values())
    wide, tall = 2 * MARGIN + NAMES + BARS + SAMPLES * (TILE + GAP), len(shown) * (TILE + GAP)
    sheet = ground(TITLE + tall + HEADING + HISTOGRAM + FOOT, wide)
    files_in_all = f"{sum(counts.values())} files in {len(counts)} classes"
    left = f", the largest {len(shown)}" if len(shown) < len(counts) else ""
    written(sheet, f"{of.name}: {files_in_all}{left}", (MARGIN, 29), 17, INK)
    for number, name in enumerate(shown):
        top = TITLE + number * (TILE + GAP)
        middle = top + TILE // 2
        written(sheet, shortened(name, 14, NAMES - GAP), (MARGIN, middle + 5), 14, INK)
        x = MARGIN + NAMES
        bar = round((BARS - 60) * counts[name] / most)
        sheet[middle - 8 : middle + 8, x : x + bar] = BAR
        written(sheet, str(counts[name]), (x + bar + GAP, middle + 5), 14, DIM)
        for column, tile in enumerate(_samples(of, name)):
            left_edge = x + BARS + column * (TILE + GAP)
            sheet[top : top + TILE, left_edge : left_edge + TILE] = tile
    _histogram(sheet, of)
    return sheet


def _samples(of: Dataset, name: str) -> list[np.ndarray]:
    """Some examples of a class, evenly spaced among its files; a damaged one is left dark."""
    examples = [example for example in of.examples if of.classes[example.label] == name]
    tiles = []
    for k in range(min(SAMPLES, len(examples))):
        try:
            tiles.append(_tile(of, examples[k * len(examples) // min(SAMPLES, len(examples))]))
        except UserError:
            tiles.append(ground(TILE, TILE))
    return tiles


def _tile(of: Dataset, example: Example) -> np.ndarray:
    """What an example looks like, uint8 [TILE, TILE, 3]."""
    whole = row(of, example, Form(side=TILE, rate=RATE))
    if of.medium == "picture":
        return np.rint(whole * 255).astype(np.uint8)
    return spectrum(whole)


def spectrum(samples: np.ndarray) -> np.ndarray:
    """A sound's spectrum over time, low tones below, uint8 [TILE, TILE, 3].

    Args:
        samples: float32 [samples], at `RATE`.
    """
    if len(samples) < 1024:
        samples = np.pad(samples, (0, 1024 - len(samples)))
    power = np.square(np.abs(stft(samples, RATE, nperseg=512, noverlap=256)[2])) + 1e-12
    level = 10 * np.log10(power / power.max())
    bright = np.clip(1 + level[::-1] / LOUDEST_DB, 0, 1).astype(np.float32)
    grey = np.rint(cv2.resize(bright, (TILE, TILE), interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    coloured: np.ndarray = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return coloured


def _histogram(sheet: np.ndarray, of: Dataset) -> None:
    """Draw how long the sounds are, or how large the pictures, at the foot of the sheet."""
    step = max(1, len(of.examples) // MOST_MEASURED)
    sizes = measured(of.medium, of.examples[::step])
    what, unit = ("length", "s") if of.medium == "sound" else ("shorter side", "px")
    foot = sheet.shape[0] - FOOT
    heading = (MARGIN, foot - HISTOGRAM - 16)
    if not len(sizes):
        written(sheet, f"{what}: no file can be read", heading, 14, INK)
        return
    low, half, far = (float(each) for each in np.quantile(sizes, (0, 0.5, 1)))
    written(sheet, f"{what}: {low:.4g} to {far:.4g} {unit}, median {half:.4g} {unit}", heading, 14, INK)
    found, edges = np.histogram(sizes, BINS, (low, far if far > low else low + 1))
    pitch = (sheet.shape[1] - 2 * MARGIN) / BINS
    for k, count in enumerate(found):
        # The smallest one shows too: it is what one looks for.
        high = max(2 * bool(count), round(HISTOGRAM * count / found.max()))
        x = MARGIN + round(k * pitch)
        sheet[foot - high : foot, x : x + max(1, round(pitch) - 2)] = BAR
    for k in range(0, BINS + 1, 4):
        text = f"{edges[k]:.3g}"
        x = min(max(MARGIN + round(k * pitch), MARGIN + length(text, 12) // 2), sheet.shape[1] - MARGIN)
        written(sheet, text, (x, foot + 18), 12, DIM, 0.5)


def measured(medium: str, examples: Sequence[Example]) -> np.ndarray:
    """Seconds of sounds, or px of pictures' shorter sides, float64 [n]; damaged files are passed over."""
    sizes = []
    for example in examples:
        try:
            if medium == "sound":
                told = soundfile.info(example.file)
                sizes.append(told.frames / told.samplerate)
            else:
                sizes.append(min(files.read_image(example.file).shape[:2]))
        except (UserError, soundfile.SoundFileError, OSError):
            continue
    return np.array(sizes, np.float64)
