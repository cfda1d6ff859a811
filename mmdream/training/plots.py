"""Curves of a training, and what was taken for what, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmdream.training.figures import Evaluation

MAX_NAMED_CLASSES = 40
"""Classes whose names stand beside a confusion matrix."""
MAX_COUNTED_CLASSES = 16
"""Classes whose counts stand in it."""


def plot_curves(rounds: Sequence[dict[str, float]], path: Path) -> None:
    """Draw loss and accuracy of each round, on what is learned from and what is kept to stop by."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = [row["epoch"] + 1 for row in rounds]
    for axes, key, title in ((left, "loss", "loss"), (right, "accuracy", "accuracy")):
        axes.plot(at, [row[key] for row in rounds], label="learned from, changed at random")
        axes.plot(at, [row[f"val_{key}"] for row in rounds], label="kept to stop by")
        axes.set_xlabel("round")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def plot_confusion(figures: Evaluation, path: Path) -> None:
    """Draw what each class was told as, in shares of the class."""
    count = len(figures.classes)
    side = min(6 + 0.25 * count, 16)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    matrix = figures.confusion
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    shown = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(shown, ax=axes, shrink=0.8)
    if count <= MAX_NAMED_CLASSES:
        # Names are data: a dollar sign would begin a formula.
        names = [name.replace("$", r"\$") for name in figures.classes]
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    if count <= MAX_COUNTED_CLASSES:
        for row, column in np.ndindex(matrix.shape):
            ink = "white" if shares[row, column] < 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=ink)
    axes.set_xlabel("told as")
    axes.set_ylabel("is")
    axes.set_title(
        f"held out: {figures.accuracy:.1%} right; always the commonest class: {figures.baseline:.1%}"
    )
    figure.savefig(path, dpi=100)
