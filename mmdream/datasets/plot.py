"""Draws a data set: how many files each class has, some of them, and how long or how large they are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import soundfile
from matplotlib.figure import Figure
from scipy.signal import stft

from mmdream.core.errors import UserError
from mmdream.core.files import check_output_file, output_workspace
from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.media.image import IMAGE_SUFFIXES, read_image

TILE_SIZE = 96
"""Side of a sample, px."""
SAMPLES_PER_CLASS = 6
MAX_CLASSES = 60
"""That are drawn; the largest ones, where a set has more."""
HISTOGRAM_BINS = 24
MAX_MEASURED = 2000
"""Files whose length or size is read for the histogram; of more, evenly spaced ones."""
BAR_COLOR = "#568cba"
SAMPLE_RATE = 22_050
RANGE_DB = 70
"""Of a drawn spectrogram, below its loudest place."""


def write_dataset_plot(dataset: Dataset, output: Path, overwrite: bool) -> Path:
    """Write `plot_dataset` as a picture file and return its name; the suffix chooses the format."""
    out = check_output_file(None, output, ".png", IMAGE_SUFFIXES, overwrite, "--plot")
    figure = plot_dataset(dataset)
    with output_workspace(out, overwrite) as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of names in a script that the font does not have.
        figure.savefig(work / out.name)
    return out


def plot_dataset(dataset: Dataset) -> Figure:
    """A row for each class, with its count and samples, and a histogram of lengths or sizes below."""
    counts = dataset.counts()
    names = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_CLASSES]
    figure = Figure(figsize=(10, 3 + 0.9 * len(names)), layout="constrained")
    bars, samples, sizes = figure.subplot_mosaic(
        [["bars", "samples"], ["sizes", "sizes"]], height_ratios=[0.9 * len(names), 2], width_ratios=[2, 3]
    ).values()
    largest = f", the largest {len(names)}" if len(names) < len(counts) else ""
    title = f"{dataset.name}: {sum(counts.values())} files in {len(counts)} classes{largest}"
    figure.suptitle(title, parse_math=False)
    rows = range(len(names))
    bars.bar_label(bars.barh(rows, [counts[name] for name in names], color=BAR_COLOR, height=0.3), padding=3)
    bars.set_yticks(rows, names, parse_math=False)
    bars.spines[["top", "right", "bottom"]].set_visible(False)
    bars.set_xticks([])
    bars.margins(x=0.2)
    bars.set_ylim(len(names) - 0.5, -0.5)
    grid = np.concatenate([_draw_samples(dataset, name) for name in names])
    samples.imshow(grid, extent=(0, SAMPLES_PER_CLASS, len(names) - 0.5, -0.5))
    samples.set_axis_off()
    step = max(1, len(dataset.examples) // MAX_MEASURED)
    quantity, unit = ("length", "s") if dataset.medium == "sound" else ("shorter side", "px")
    values = measure_examples(dataset.medium, dataset.examples[::step])
    if len(values):
        low, median, high = np.quantile(values, (0, 0.5, 1))
        edges = (low, high if high > low else low + 1)
        sizes.hist(values, HISTOGRAM_BINS, range=edges, color=BAR_COLOR)
        sizes.set_title(f"{quantity}: {low:.4g} to {high:.4g} {unit}, median {median:.4g} {unit}")
    else:
        sizes.set_title(f"{quantity}: no file can be read")
    return figure


def _draw_samples(dataset: Dataset, name: str) -> np.ndarray:
    """Evenly spaced examples of a class, uint8 [TILE_SIZE, row, 3]; dark: damaged; white: no more."""
    examples = [example for example in dataset.examples if dataset.classes[example.label] == name]
    count = min(SAMPLES_PER_CLASS, len(examples))
    row = np.full((SAMPLES_PER_CLASS, TILE_SIZE, TILE_SIZE, 3), 255, np.uint8)
    for k in range(count):
        format = ExampleFormat(side=TILE_SIZE, rate=SAMPLE_RATE)
        try:
            values = load_example(dataset, examples[k * len(examples) // count], format)
            is_image = dataset.medium == "picture"
            row[k] = np.rint(values * 255).astype(np.uint8) if is_image else draw_spectrogram(values)
        except UserError:
            row[k] = 0
    row[:, -4:] = row[:, :, -4:] = 255  # A gap to the next one.
    return np.concatenate(row, axis=1)


def draw_spectrogram(samples: np.ndarray) -> np.ndarray:
    """The spectrogram of float32 [samples] at `SAMPLE_RATE`, uint8 [TILE_SIZE, TILE_SIZE, 3]."""
    if len(samples) < 1024:
        samples = np.pad(samples, (0, 1024 - len(samples)))
    power = np.square(np.abs(stft(samples, SAMPLE_RATE, nperseg=512, noverlap=256)[2])) + 1e-12
    level = 10 * np.log10(power / power.max())
    bright = np.clip(1 + level[::-1] / RANGE_DB, 0, 1).astype(np.float32)
    size = (TILE_SIZE, TILE_SIZE)
    grey = np.rint(cv2.resize(bright, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    rgb: np.ndarray = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return rgb


def measure_examples(medium: str, examples: Sequence[Example]) -> np.ndarray:
    """Seconds of sounds, or px of pictures' shorter sides, float64 [n]; damaged files are passed over."""
    values: list[float] = []
    for example in examples:
        try:
            if medium == "sound":
                values.append(soundfile.info(example.file).duration)
            else:
                values.append(min(read_image(example.file).shape[:2]))
        except (UserError, soundfile.SoundFileError, OSError):
            continue
    return np.array(values, np.float64)
