"""The contact sheet: moments of a film, source above dream, and the curves that its settings followed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmdream.media.image import write_image
from mmdream.media.probe import MediaFile
from mmdream.media.verify import read_frame_times
from mmdream.media.video_reader import read_frames
from mmdream.settings.report import GrainEvent, HintedMotifs, format_time_code
from mmdream.views import canvas
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, fit_size, paste_image

SHEET_MOMENTS = 12
"""Moments on a contact sheet, where the film has so many frames."""
MAX_CELL = (320, 240)
"""Width and height, px, that source and dream have at most on a sheet."""
CELL_GAP, SEAM, MARGIN, TIME_HEIGHT, TITLE_HEIGHT = 12, 2, 16, 26, 40
"""px between cells, between source and dream, around the sheet, of the time and of the title."""
TIMESTAMP_TOLERANCE = Fraction(1, 500)
"""Seconds by which containers may round a time stamp, twice."""
CURVE_HEIGHT, LABEL_HEIGHT = 64, 22
"""px of a curve below the sheet, and of the text above it."""
LANE_ROWS = 4
"""Of recorded events below one another, so that their names have room."""
HINT_PX = 14
"""Height of the letters that tell what was hinted at."""
SUBPIXEL_BITS = 8
"""Fraction bits of a pixel that a line is placed by."""

CurveKeys = list[list[Any]]
"""[seconds, value] of each key, seconds rising."""


def write_contact_sheet(
    film: MediaFile,
    dream: MediaFile,
    path: Path,
    count: int = SHEET_MOMENTS,
    start: Fraction | None = None,
    title: tuple[str, str] = ("", ""),
    driven: dict[str, dict[str, CurveKeys]] | None = None,
    hints: Sequence[HintedMotifs] = (),
    grains: Sequence[GrainEvent] = (),
) -> None:
    """Write evenly spaced moments of a film, source above dream; the suffix chooses the format.

    The dream's second 0 is the source's `start`. The title stands above, left and right; below are the curves
    of settings that followed the film, see `Report.driven`, with each moment marked, the recorded events that
    were laid into its sound, and the motifs that the film hinted at over time.
    """
    assert film.video is not None
    size = fit_size(film.video.width, film.video.height, film.video.sar, *MAX_CELL)
    cells: dict[float, list[np.ndarray]] = {}
    for seconds in select_evenly([Fraction(at) - dream.start for at in read_frame_times(dream)], count):
        moment = seconds + (start or 0)
        frames = _read_frame_at(film, moment), _read_frame_at(dream, seconds)
        cells[float(moment)] = [canvas.to_uint8(canvas.resize_image(rgb, size)) for rgb in frames]
    sheet = _draw_cells(cells, size, title)
    if curves := select_numeric_curves(driven or {}):
        strips = _draw_curves(curves, list(cells), sheet.shape[1] - 2 * MARGIN)
        strips = np.pad(strips, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=canvas.BACKGROUND)
        sheet = np.concatenate([sheet, strips])
    if grains:
        lane = _draw_grains(grains, list(cells), sheet.shape[1] - 2 * MARGIN)
        lane = np.pad(lane, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=canvas.BACKGROUND)
        sheet = np.concatenate([sheet, lane])
    if any(each.motifs for each in hints):
        sheet = np.concatenate([sheet, _draw_hints(list(map(str, hints)), sheet.shape[1])])
    write_image(path, sheet)


def select_evenly(times: Sequence[Fraction], count: int) -> list[Fraction]:
    """Evenly spaced ones of a film's time stamps, neither its first nor its last if there are more."""
    count = min(count, len(times))
    return [times[(2 * k + 1) * len(times) // (2 * count)] for k in range(count)]


def _read_frame_at(film: MediaFile, seconds: Fraction) -> np.ndarray:
    """The frame shown from a time on, float32 [H, W, 3]."""
    with closing(read_frames(film, max(Fraction(0), seconds - TIMESTAMP_TOLERANCE))) as frames:
        return next(frames).rgb


def _draw_cells(
    cells: dict[float, list[np.ndarray]], size: tuple[int, int], title: tuple[str, str]
) -> np.ndarray:
    """The sheet, uint8 [H, W, 3], of source and dream by second, uint8 of a width and height."""
    width, height = size[0] + CELL_GAP, 2 * size[1] + SEAM + TIME_HEIGHT + CELL_GAP
    columns = max(1, min(len(cells), canvas.count_columns(len(cells), width, height)))
    # No row should be left with a single cell where one column less would fill it better.
    columns = math.ceil(len(cells) / math.ceil(len(cells) / columns))
    rows = math.ceil(len(cells) / columns)
    sheet = blank_canvas(
        TITLE_HEIGHT + rows * height - CELL_GAP + MARGIN, 2 * MARGIN + columns * width - CELL_GAP
    )
    room = sheet.shape[1] - 3 * MARGIN
    draw_text(sheet, canvas.truncate_text(title[0], 17, room), (MARGIN, 27), 17, TEXT_GREY)
    if canvas.text_width(title[0], 17) + canvas.text_width(title[1], 14) <= room:
        draw_text(sheet, title[1], (sheet.shape[1] - MARGIN, 27), 14, DIM_GREY, align=1)
    for number, (seconds, (above, below)) in enumerate(cells.items()):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, TITLE_HEIGHT + row * height
        paste_image(sheet, above, x, y)
        paste_image(sheet, below, x, y + size[1] + SEAM)
        foot = x + size[0] // 2, y + 2 * size[1] + SEAM + 18
        draw_text(sheet, format_time_code(seconds), foot, 14, DIM_GREY, align=0.5)
    return sheet


def select_numeric_curves(driven: dict[str, dict[str, CurveKeys]]) -> dict[str, CurveKeys]:
    """The curves of a report that are numbers, each once, by the name that is drawn."""
    numeric: dict[str, CurveKeys] = {}
    for medium, curves in driven.items():
        for name, keys in curves.items():
            if name != "motif" and keys not in numeric.values():
                numeric[name.replace("_", " ") + (" of the sound" if medium == "sound" else "")] = keys
    return numeric


def _draw_hints(hints: Sequence[str], width: int) -> np.ndarray:
    """What was hinted at over time, as many as fit into each line, uint8 [h, width, 3]."""
    lines: list[str] = []
    for hint in hints:
        longer = f"{lines[-1]};  {hint}" if lines else hint
        if lines and canvas.text_width(longer, HINT_PX) <= width - 2 * MARGIN:
            lines[-1] = longer
        else:
            lines.append(canvas.truncate_text(hint, HINT_PX, width - 2 * MARGIN))
    strip = blank_canvas(len(lines) * LABEL_HEIGHT + MARGIN, width)
    for number, line in enumerate(lines):
        draw_text(strip, line, (MARGIN, (number + 1) * LABEL_HEIGHT - 5), HINT_PX, DIM_GREY)
    return strip


def _find_span(moments: Sequence[float]) -> tuple[float, float]:
    """First and last second of a film: it reaches about as far on either side of the moments."""
    half = (moments[-1] - moments[0]) / max(2 * (len(moments) - 1), 1) or 0.5
    return moments[0] - half, moments[-1] + half


def _draw_grains(grains: Sequence[GrainEvent], moments: Sequence[float], width: int) -> np.ndarray:
    """Recorded events as named blocks over time, in rows that are taken in turn, uint8 [h, width, 3]."""
    first, last = _find_span(moments)
    lane = blank_canvas(LANE_ROWS * LABEL_HEIGHT, width)
    for number, grain in enumerate(grains):
        top = number % LANE_ROWS * LABEL_HEIGHT
        ends = (grain.seconds, grain.seconds + grain.length)
        left, right = (round((at - first) / (last - first) * (width - 1)) for at in ends)
        cv2.rectangle(lane, (left, top + 2), (max(right, left + 1), top + LABEL_HEIGHT - 2), (70, 70, 70), -1)
        draw_text(lane, grain.kind, (left + 2, top + LABEL_HEIGHT - 7), HINT_PX - 2, TEXT_GREY)
    return lane


def _draw_curves(curves: dict[str, CurveKeys], moments: Sequence[float], width: int) -> np.ndarray:
    """Curves by name below one another, uint8 [h, width, 3], the moments (seconds) marked."""
    height = CURVE_HEIGHT + LABEL_HEIGHT
    strips = blank_canvas(len(curves) * height, width)
    first, last = _find_span(moments)
    for number, (name, keys) in enumerate(curves.items()):
        top = number * height + LABEL_HEIGHT
        values = np.interp(np.linspace(first, last, width), *np.array(keys, np.float64).T)
        for moment in moments:
            x = round((moment - first) / (last - first) * (width - 1))
            cv2.line(strips, (x, top), (x, top + CURVE_HEIGHT), (60, 60, 60), 1)
        rows = top + 2 + (CURVE_HEIGHT - 6) * (1 - values / max(float(values.max()), 1e-9))
        points = np.stack([np.arange(width), rows], axis=1) * 2**SUBPIXEL_BITS
        line = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(strips, line, False, (TEXT_GREY, TEXT_GREY, TEXT_GREY), 1, cv2.LINE_AA, SUBPIXEL_BITS)
        label = f"{name} {values.min():.2f} to {values.max():.2f}"
        draw_text(strips, label, (0, top - 5), 14, DIM_GREY)
    return strips
