"""Drawing: text and pictures on an image, and figures by matplotlib."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Color = tuple[int, int, int]
"""Red, green and blue, of 255."""

BACKGROUND, TEXT_GREY, DIM_GREY = 18, 228, 150
"""Greys, of 255: of a canvas, of text, and of text that matters less."""
FIGURE_INCHES, DPI = 10.0, 120
"""Width of a figure, and dots per inch."""
TARGET_ASPECT = 1.4
"""Width of a sheet of cells over its height, as nearly as the cells allow."""


def blank_canvas(height: int, width: int) -> np.ndarray:
    """An empty image, uint8 [height, width, 3]."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def fit_size(width: int, height: int, sar: Fraction, max_width: int, max_height: int) -> tuple[int, int]:
    """Width and height, px, of an image scaled to square pixels into a box; `sar` is a pixel's aspect."""
    square_width = float(width * sar)
    factor = min(max_width / square_width, max_height / height)
    return max(1, round(square_width * factor)), max(1, round(height * factor))


def count_columns(cells: int, width: int, height: int) -> int:
    """Columns that bring a sheet of cells of a width and height, px, nearest to `TARGET_ASPECT`."""
    return round(math.sqrt(cells * TARGET_ASPECT * height / width))


def resize_image(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float32 image [H, W, 3] at another width and height, px."""
    if rgb.shape[1::-1] == size:
        return rgb
    smaller = size[0] < rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    """A float image, 0..1, as uint8."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def paste_image(canvas: np.ndarray, image: np.ndarray, x: int, y: int) -> None:
    """Lay an image on a canvas, its left upper corner at x, y; both uint8 [h, w, 3]."""
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image


def draw_text(
    canvas: np.ndarray, text: str, at: tuple[int, int], px: int, color: int | Color, align: float = 0.0
) -> None:
    """Write a line on a canvas, uint8 [H, W, 3], from x, y of its baseline, in a size and a colour or grey.

    `align` is the share of the line that lies left of x: 0 begins there, 0.5 is centered, 1 ends there.
    """
    x = at[0] - round(align * text_width(text, px))
    color = (color, color, color) if isinstance(color, int) else color
    cv2.putText(canvas, text, (x, at[1]), color, _load_font(), px, 400)


def text_width(text: str, px: int) -> int:
    """Width of a line in letters of a size, px."""
    box: Any = cv2.getTextSize((1, 1), text, (0, 0), _load_font(), px, 400)
    return int(box[0]) + int(box[2])


def truncate_text(text: str, px: int, max_width: int) -> str:
    """The text, with an ellipsis for what is wider than `max_width` px."""
    if text_width(text, px) <= max_width:
        return text
    while text and text_width(f"{text}…", px) > max_width:
        text = text[:-1]
    return f"{text}…"


def _load_font() -> Any:
    # The font that OpenCV 5 brings along. Not kept: a font must not be shared between threads.
    return cv2.FontFace("sans")


def new_figure(inches: float) -> Figure:
    """An empty figure of a height, without pyplot, which keeps every figure and asks for a screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(FIGURE_INCHES, inches), dpi=DPI, layout="constrained")


def rasterize_figure(figure: Figure) -> np.ndarray:
    """A figure as uint8 [H, W, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]
