"""Small pictures side by side with words under them, for the pictures that show how a film goes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cv2
import numpy as np

BACKGROUND, TEXT_GREY, DIM_GREY = 18, 228, 150
"""Greys of the ground, of words, and of words that matter less, of 255."""


def blank_canvas(height: int, width: int) -> np.ndarray:
    """An empty sheet, uint8 [height, width, 3]."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def fit_size(width: int, height: int, sar: Fraction, wide: int, tall: int) -> tuple[int, int]:
    """Width and height of a picture with square pixels that just fits into a box.

    Args:
        width: of the picture, px.
        height: of the picture, px.
        sar: width of one of its pixels over the height.
        wide: of the box, px.
        tall: of the box, px.
    """
    shown = float(width * sar)
    factor = min(wide / shown, tall / height)
    return max(1, round(shown * factor)), max(1, round(height * factor))


def resize_to_uint8(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture at another size, for the eye.

    Args:
        rgb: float32 [H, W, 3], 0..1.
        size: width, height, px.

    Returns:
        uint8 [height, width, 3].
    """
    smaller = size[0] < rgb.shape[1]
    resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.rint(np.clip(resized, 0, 1) * 255).astype(np.uint8)


def format_time_code(seconds: float) -> str:
    """``1:02:03.4``, or ``2:03.4`` within the first hour."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def draw_text(
    sheet: np.ndarray, text: str, at: tuple[int, int], px: int, ink: int, align: float = 0.0
) -> None:
    """Write into a sheet.

    Args:
        sheet: uint8 [H, W, 3], changed in place.
        text: one line.
        at: x, y of the line's foot, px.
        px: size of the letters.
        ink: grey, of 255.
        align: share of the line that lies left of x: 0 begins there, 0.5 is centred, 1 ends there.
    """
    x = at[0] - round(align * text_width(text, px))
    cv2.putText(sheet, text, (x, at[1]), (ink, ink, ink), _load_font(), px, 400)


def text_width(text: str, px: int) -> int:
    """Width of a line, px."""
    box: Any = cv2.getTextSize((1, 1), text, (0, 0), _load_font(), px, 400)
    return int(box[0]) + int(box[2])


def truncate_text(text: str, px: int, room: int) -> str:
    """The text, with an ellipsis for what does not fit into so many pixels."""
    if text_width(text, px) <= room:
        return text
    while text and text_width(f"{text}…", px) > room:
        text = text[:-1]
    return f"{text}…"


def _load_font() -> Any:
    # The font that OpenCV 5 brings along. Not kept: a face must not be shared between threads.
    return cv2.FontFace("sans")
