"""Figures as picture files: where they may go, how they are drawn, and that they come whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.files import check_output_file, output_workspace
from mmdream.media import image

if TYPE_CHECKING:
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
