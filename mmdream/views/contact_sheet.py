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
from mmdream.settings.report import Report, format_time_code
from mmdream.views import canvas
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, Color, blank_canvas, draw_text, fit_size, paste_image
from mmdream.views.lanes import Lanes, plan_lanes

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
ROW_HEIGHT, ROW_PX, NAME_GAP = 19, 13, 10
"""px of a lane's row, of its letters, and from its name to its blocks."""
TICK_WIDTH, TICK_GREY = 90, (42, 42, 42)
"""px that a second that is told has at least, and the colour of its line."""
LINK_SHARE = 0.42
"""Opacity of a link between lanes."""
TICK_SECONDS = 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600
"""From one second that is told to the next."""
NOTHING_TOLD = Report()
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
    report: Report = NOTHING_TOLD,
) -> None:
    """Write evenly spaced moments of a film, source above dream; the suffix chooses the format.

    The dream's second 0 is the source's `start`. The title stands above, left and right. Below is what the
    report tells over time: what was heard, seen and laid into the sound, in lanes that answer each other, the
    curves of settings that followed the film, with each moment marked, and the motifs that it hinted at.
    """
    assert film.video is not None
    size = fit_size(film.video.width, film.video.height, film.video.sar, *MAX_CELL)
    cells: dict[float, list[np.ndarray]] = {}
    for seconds in select_evenly([Fraction(at) - dream.start for at in read_frame_times(dream)], count):
        moment = seconds + (start or 0)
        frames = _read_frame_at(film, moment), _read_frame_at(dream, seconds)
        cells[float(moment)] = [canvas.to_uint8(canvas.resize_image(rgb, size)) for rgb in frames]
    sheet = _draw_cells(cells, size, title)
    lanes, width = plan_lanes(report, _find_span(list(cells))), sheet.shape[1] - 2 * MARGIN
    left, strips = _measure_names(lanes, width), list[np.ndarray]()
    if lanes.lanes:
        strips.append(_draw_lanes(lanes, width, left))
    if curves := select_numeric_curves(report.driven):
        strips.append(_draw_curves(curves, list(cells), width, left))
    for strip in strips:
        padded = np.pad(strip, ((0, MARGIN), (MARGIN, MARGIN), (0, 0)), constant_values=canvas.BACKGROUND)
        sheet = np.concatenate([sheet, padded])
    if any(each.motifs for each in report.hints):
        sheet = np.concatenate([sheet, _draw_hints(list(map(str, report.hints)), sheet.shape[1])])
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


def choose_ticks(span: tuple[float, float], most: int) -> list[int]:
    """Round seconds from one second to another, `most` at most, or one."""
    ticks: list[int] = []
    for step in TICK_SECONDS:
        ticks = list(range(math.ceil(span[0] / step) * step, math.floor(span[1]) + 1, step))
        if len(ticks) <= most:
            return ticks
    return ticks[:1]


def _measure_names(lanes: Lanes, width: int) -> int:
    """Width, px, of the names of rows and the gap behind them, at most a third of a sheet's."""
    names = [name for lane in lanes.lanes for name in (lane.title, *(row.name for row in lane.rows))]
    widest = max((canvas.text_width(name, ROW_PX) for name in names), default=-NAME_GAP)
    return min(widest + NAME_GAP, width // 3)


def _draw_lanes(lanes: Lanes, width: int, left: int) -> np.ndarray:
    """Lanes below one another from `left` on, their links, and the time, uint8 [h, width, 3]."""
    first, last = lanes.span
    strip = blank_canvas(round(lanes.height * ROW_HEIGHT) + LABEL_HEIGHT, width)

    def place(seconds: float, row: float) -> tuple[int, int]:
        share = (min(max(seconds, first), last) - first) / (last - first)
        return round(left + (width - 1 - left) * share), round(row * ROW_HEIGHT)

    for seconds in choose_ticks(lanes.span, (width - left) // TICK_WIDTH):
        x, foot = place(seconds, lanes.height)
        told = format_time_code(seconds)[:-2]
        half = canvas.text_width(told, ROW_PX - 1) // 2
        cv2.line(strip, (x, 0), (x, foot), TICK_GREY, 1)
        draw_text(strip, told, (min(x, width - half), foot + 16), ROW_PX - 1, DIM_GREY, align=0.5)
    for tint in dict.fromkeys(link.color for link in lanes.links):
        # All of one colour at once: where several lie over each other they are no brighter than one.
        mask = np.zeros(strip.shape[:2], np.uint8)
        for link in (each for each in lanes.links if each.color == tint):
            cv2.fillPoly(mask, [np.array([place(*corner) for corner in lanes.corners(link)], np.int32)], 255)
        tinted = LINK_SHARE * np.array(tint) + (1 - LINK_SHARE) * strip[mask > 0]
        strip[mask > 0] = np.rint(tinted).astype(np.uint8)
    names: list[tuple[str, float, int | Color]] = []
    for number, lane in enumerate(lanes.lanes):
        names.append((lane.title, lanes.top((number, 0)) - 1, TEXT_GREY))
        for k, row in enumerate(lane.rows):
            top = lanes.top((number, k))
            names.append((row.name, top, row.color))
            for block in row.blocks:
                shade = block.strength * np.array(row.color) + (1 - block.strength) * canvas.BACKGROUND
                ends = place(block.start, top + 0.12), place(block.stop, top + 0.88)
                cv2.rectangle(strip, *ends, np.rint(shade).tolist(), -1)
    for name, top, color in names:
        told, (_, foot) = canvas.truncate_text(name, ROW_PX, left - NAME_GAP), place(first, top + 0.74)
        draw_text(strip, told, (left - NAME_GAP, foot), ROW_PX, color, align=1)
    return strip


def _draw_curves(curves: dict[str, CurveKeys], moments: Sequence[float], width: int, left: int) -> np.ndarray:
    """Curves by name below one another, from `left` on, uint8 [h, width, 3], the moments (seconds) marked."""
    height = CURVE_HEIGHT + LABEL_HEIGHT
    strips = blank_canvas(len(curves) * height, width)
    first, last = _find_span(moments)
    for number, (name, keys) in enumerate(curves.items()):
        top = number * height + LABEL_HEIGHT
        values = np.interp(np.linspace(first, last, width - left), *np.array(keys, np.float64).T)
        for moment in moments:
            x = round(left + (moment - first) / (last - first) * (width - 1 - left))
            cv2.line(strips, (x, top), (x, top + CURVE_HEIGHT), (60, 60, 60), 1)
        rows = top + 2 + (CURVE_HEIGHT - 6) * (1 - values / max(float(values.max()), 1e-9))
        points = np.stack([np.arange(left, width), rows], axis=1) * 2**SUBPIXEL_BITS
        line = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
        cv2.polylines(strips, line, False, (TEXT_GREY, TEXT_GREY, TEXT_GREY), 1, cv2.LINE_AA, SUBPIXEL_BITS)
        label = f"{name} {values.min():.2f} to {values.max():.2f}"
        draw_text(strips, label, (left, top - 5), 14, DIM_GREY)
    return strips
