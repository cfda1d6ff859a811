"""A figure of predictions: the first classes of a file over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mmdream.core.files import check_output_file, output_workspace
from mmdream.media.image import IMAGE_SUFFIXES, write_image
from mmdream.views.canvas import new_figure, rasterize_figure

PANEL_INCHES = 3.6
"""Height of a network's part."""
MAX_LINES = 10
"""Classes of a part: so many colors can be told apart."""


class PredictionSeries(Protocol):
    """What one network says of one file over time, see `classify.run.Predictions`."""

    @property
    def medium(self) -> str:
        """Either "picture" or "sound"."""

    @property
    def network(self) -> str:
        """Its name."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def seconds(self) -> np.ndarray:
        """When each moment begins, float [moment]."""

    @property
    def span(self) -> float | None:
        """Seconds that a moment lasts; None: a frame."""

    @property
    def probabilities(self) -> np.ndarray:
        """Float [moment, class]."""

    def top_classes(self, count: int) -> list[int]:
        """Indices of the classes of the highest mean probability."""


def draw_predictions(name: str, predictions: Sequence[PredictionSeries], top: int) -> np.ndarray:
    """Draw the first classes of a file, uint8 [H, W, 3]: lines over time, or bars of a single moment."""
    figure = new_figure(PANEL_INCHES * len(predictions))
    parts = figure.subplots(len(predictions), squeeze=False)[:, 0]
    for axes, series in zip(parts, predictions, strict=True):
        verb = "sees" if series.medium == "picture" else "hears"
        axes.set_title(f"what {series.network} {verb} in {name}", loc="left", parse_math=False)
        places = series.top_classes(min(top, MAX_LINES))
        if len(series.seconds) > 1:
            middles = series.seconds + (series.span or 0.0) / 2
            for place in places:
                axes.plot(middles, series.probabilities[:, place], marker=".", label=series.classes[place])
            axes.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02))
            axes.grid(alpha=0.3)
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        else:
            # By number: ImageNet has two classes called crane, which would share a bar.
            axes.barh(range(len(places)), series.probabilities[0, places])
            axes.set_yticks(range(len(places)), [series.classes[place] for place in places])
            axes.invert_yaxis()
            axes.set(xlabel="probability", xlim=(0, 1))
    return rasterize_figure(figure)


def check_figure_path(output: Path, overwrite: bool) -> Path:
    """The path of a figure, checked before the work.

    Raises:
        UserError: nothing can be written there.
    """
    return check_output_file(None, output, ".png", IMAGE_SUFFIXES, overwrite, "--plot")


def write_figure(rgb: np.ndarray, output: Path, overwrite: bool) -> None:
    """Write a figure, uint8 [H, W, 3]; the suffix chooses the format."""
    with output_workspace(output, overwrite) as work:
        write_image(work / output.name, rgb.astype(np.float32) / 255)
