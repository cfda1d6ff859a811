"""Figures as picture files: where they may go, how they are drawn, and that they come whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.classify.run import FilePredictions, Predictions
from mmdream.core.files import check_output_file, output_workspace
from mmdream.media import image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE_INCHES, DPI = 10.0, 120
"""Inches of a figure, and dots to an inch."""


def check_figure_path(output: Path, overwrite: bool) -> Path:
    """Where a plot can go; to be asked before the work.

    Raises:
        UserError: it cannot go there.
    """
    return check_output_file(None, output, ".png", image.IMAGE_SUFFIXES, overwrite, "--plot")


def new_figure(tall: float) -> Figure:
    """An empty figure of some inches, without pyplot, which keeps every figure and asks for a screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(FIGURE_INCHES, tall), dpi=DPI, layout="constrained")


def rasterize_figure(figure: Figure) -> np.ndarray:
    """A figure as a picture, uint8 [H, W, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def write_figure(picture: np.ndarray, output: Path, overwrite: bool) -> None:
    """Write a drawn figure; the suffix chooses the format."""
    with output_workspace(output, overwrite) as work:
        image.write_image(work / output.name, picture.astype(np.float32) / 255)


pass


MAX_LINES = 10
"""Colours that can be told apart."""
PANEL_INCHES = 3.6
"""Inches of a medium's part."""


def draw_predictions(seen: FilePredictions) -> np.ndarray:
    """The picture, uint8 [H, W, 3]: a part for each medium, lines over time, or bars of a single moment."""
    figure = new_figure(PANEL_INCHES * len(seen.answers))
    parts = figure.subplots(len(seen.answers), squeeze=False)[:, 0]
    for axes, answers in zip(parts, seen.answers, strict=True):
        what = "sees" if answers.medium == "picture" else "hears"
        axes.set_title(f"what {answers.network} {what} in {seen.source.name}", loc="left", parse_math=False)
        (_draw_lines if len(answers.seconds) > 1 else _draw_bars)(axes, answers, min(seen.top, MAX_LINES))
    return rasterize_figure(figure)


def _draw_lines(axes: Axes, answers: Predictions, top: int) -> None:
    """The classes of the highest mean probability over time; a window's place is its middle."""
    at = answers.seconds + (answers.span or 0.0) / 2
    for place in answers.top(top):
        axes.plot(at, answers.probabilities[:, place], marker=".", label=answers.classes[place])
    axes.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _draw_bars(axes: Axes, answers: Predictions, top: int) -> None:
    """A single moment's classes, the first one above."""
    places = answers.top(top)
    # By number: ImageNet has two classes called crane, which would share a bar.
    axes.barh(range(len(places)), answers.probabilities[0, places])
    axes.set_yticks(range(len(places)), [answers.classes[place] for place in places])
    axes.invert_yaxis()
    axes.set(xlabel="probability", xlim=(0, 1))
