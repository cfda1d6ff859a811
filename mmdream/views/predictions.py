"""A figure of what networks see and hear: classes over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmdream.views.canvas import new_figure, rasterize_figure

PREDICTIONS_INCHES = 3.6
"""Height of a network's part."""
MAX_LINES = 10
"""Classes of a part: so many colors can be told apart."""


Panel = tuple[str, np.ndarray, list[tuple[str, np.ndarray]]]
"""Title; seconds of each moment's middle; the first classes with their probabilities, float [moment]."""


def draw_predictions(panels: Sequence[Panel]) -> np.ndarray:
    """Draw classes over time, or as bars of a single moment, a part for each network; uint8 [H, W, 3]."""
    figure = new_figure(PREDICTIONS_INCHES * len(panels))
    parts = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (title, seconds, curves) in zip(parts, panels, strict=True):
        axes.set_title(title, loc="left", parse_math=False)
        names, probabilities = zip(*curves[:MAX_LINES], strict=True)
        if len(seconds) > 1:
            for name, values in zip(names, probabilities, strict=True):
                axes.plot(seconds, values, marker=".", label=name)
            axes.set(xlabel="seconds", ylabel="probability", ylim=(-0.02, 1.02))
            axes.grid(alpha=0.3)
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        else:
            # By number: ImageNet has two classes called crane, which would share a bar.
            axes.barh(range(len(names)), [values[0] for values in probabilities])
            axes.set_yticks(range(len(names)), names)
            axes.invert_yaxis()
            axes.set(xlabel="probability", xlim=(0, 1))
    return rasterize_figure(figure)
