"""A contact sheet: evenly spaced moments of a film, each with its dream below and its time; driven curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmdream.media import image
from mmdream.media.probe import MediaFile
from mmdream.media.verify import read_frame_times
from mmdream.media.video_reader import read_frames
from mmdream.views.canvas import (
    BACKGROUND,
    DIM_GREY,
    TEXT_GREY,
    blank_canvas,
    draw_text,
    fit_size,
    format_time_code,
    resize_to_uint8,
    text_width,
    truncate_text,
)

pass

MAX_CELL = (320, 240)
"""px that each picture has at most."""
GAP, SEAM, MARGIN, TIME_HEIGHT, TITLE_HEIGHT = 12, 2, 16, 26, 40
TARGET_ASPECT = 1.4
"""Wished width of the sheet over its height."""
TIMESTAMP_TOLERANCE = Fraction(1, 500)
"""Seconds by which containers may round a time stamp, twice."""


def write_contact_sheet(
    film: MediaFile,
    dream: MediaFile,
    path: Path,
    count: int = 12,
    start: Fraction | None = None,
    title: tuple[str, str] = ("", ""),
    curves: dict[str, CurveKeys] | None = None,
) -> None:
    """Write the sheet; each moment is looked up in both films.

    Args:
        film: the source.
        dream: the finished film.
        path: of the sheet; its suffix chooses the format.
        count: moments, where the film has so many frames.
        start: second of the source that is the dream's second 0.
        title: words above the sheet, left and right.
        curves: of settings that followed the film, by name; drawn below, each moment marked.
    """
    assert film.video is not None
    size = fit_size(film.video.width, film.video.height, film.video.sar, *MAX_CELL)
    cells = []
    for seconds in select_evenly([Fraction(at) - dream.start for at in read_frame_times(dream)], count):
        late = seconds + (start or 0)
        above, below = _read_frame_at(film, late), _read_frame_at(dream, seconds)
        cells.append((late, resize_to_uint8(above, size), resize_to_uint8(below, size)))
    sheet = _draw_cells(cells, size, title)
    if curves:
        below = draw_curves(curves, [float(late) for late, _, _ in cells], sheet.shape[1] - 2 * MARGIN)
        below = np.pad(below, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=BACKGROUND)
        sheet = np.concatenate([sheet, below])
    image.write_image(path, sheet.astype(np.float32) / 255)


def select_evenly(times: Sequence[Fraction], count: int) -> list[Fraction]:
    """Evenly spaced ones of a film's time stamps, neither its first nor its last if there are more."""
    count = min(count, len(times))
    return [times[(2 * k + 1) * len(times) // (2 * count)] for k in range(count)]


def _read_frame_at(film: MediaFile, seconds: Fraction) -> np.ndarray:
    """The frame shown from a time on, float32 [H, W, 3]."""
    with closing(read_frames(film, max(Fraction(0), seconds - TIMESTAMP_TOLERANCE))) as frames:
        return next(frames).rgb


def _draw_cells(
    cells: list[tuple[Fraction, np.ndarray, np.ndarray]], size: tuple[int, int], title: tuple[str, str]
) -> np.ndarray:
    """The sheet, uint8 [H, W, 3]."""
    width, height = size[0] + GAP, 2 * size[1] + SEAM + TIME_HEIGHT + GAP
    columns = max(1, min(len(cells), round(math.sqrt(len(cells) * TARGET_ASPECT * height / width))))
    # No row should be left with a single picture where one column less would fill it better.
    columns = math.ceil(len(cells) / math.ceil(len(cells) / columns))
    rows = math.ceil(len(cells) / columns)
    sheet = blank_canvas(TITLE_HEIGHT + rows * height - GAP + MARGIN, 2 * MARGIN + columns * width - GAP)
    room = sheet.shape[1] - 3 * MARGIN
    draw_text(sheet, truncate_text(title[0], 17, room), (MARGIN, 27), 17, TEXT_GREY)
    if text_width(title[0], 17) + text_width(title[1], 14) <= room:
        draw_text(sheet, title[1], (sheet.shape[1] - MARGIN, 27), 14, DIM_GREY, align=1)
    for number, (seconds, above, below) in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, TITLE_HEIGHT + row * height
        sheet[y : y + size[1], x : x + size[0]] = above
        sheet[y + size[1] + SEAM : y + 2 * size[1] + SEAM, x : x + size[0]] = below
        foot = (x + size[0] // 2, y + 2 * size[1] + SEAM + 18)
        draw_text(sheet, format_time_code(float(seconds)), foot, 14, DIM_GREY, 0.5)
    return sheet


CURVE_HEIGHT, LABEL_HEIGHT = 64, 22
"""px of a curve, and of the words over it."""
SUBPIXEL_BITS = 8
"""Bits of a pixel that a line is placed by: it is drawn smooth."""

CurveKeys = list[list[Any]]
"""[seconds, value] of each key, seconds rising."""


def select_numeric_curves(driven: dict[str, dict[str, CurveKeys]]) -> dict[str, CurveKeys]:
    """The curves of a report that are numbers, each once, by what to call them."""
    found: dict[str, CurveKeys] = {}
    for medium, curves in driven.items():
        for name, keys in curves.items():
            if name != "motif" and keys not in found.values():
                told = name.replace("_", " ")
                found[f"{told} of the sound" if medium == "sound" else told] = keys
    return found


def draw_curves(curves: dict[str, CurveKeys], moments: Sequence[float], width: int) -> np.ndarray:
    """Draw curves over one another on one clock.

    Args:
        curves: by name.
        moments: seconds that are marked, rising; the film reaches about as far on either side of them.
        width: px.

    Returns:
        uint8 [h, width, 3].
    """
    sheet = blank_canvas(len(curves) * (CURVE_HEIGHT + LABEL_HEIGHT), width)
    half = (moments[-1] - moments[0]) / max(2 * (len(moments) - 1), 1) or 0.5
    first, last = moments[0] - half, moments[-1] + half
    for number, (name, keys) in enumerate(curves.items()):
        top = number * (CURVE_HEIGHT + LABEL_HEIGHT)
        at = np.linspace(first, last, width)
        values = np.interp(at, [when for when, _ in keys], [value for _, value in keys])
        most = max(float(values.max()), 1e-9)
        for when in moments:
            x = round((when - first) / (last - first) * (width - 1))
            cv2.line(sheet, (x, top + LABEL_HEIGHT), (x, top + LABEL_HEIGHT + CURVE_HEIGHT), (60, 60, 60), 1)
        rows = top + LABEL_HEIGHT + 2 + (CURVE_HEIGHT - 6) * (1 - values / most)
        points = np.stack([np.arange(width), rows], axis=1) * 2**SUBPIXEL_BITS
        line = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(sheet, line, False, (TEXT_GREY, TEXT_GREY, TEXT_GREY), 1, cv2.LINE_AA, SUBPIXEL_BITS)
        told = f"{name} {values.min():.2f} to {values.max():.2f}"
        draw_text(sheet, told, (0, top + LABEL_HEIGHT - 5), 14, DIM_GREY)
    return sheet
