"""An index picture of dreams: small log-mel spectrograms, each over the gain that made it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmdream.audio.canvas import BAND_EDGES, DB_PER_NEPER, MAX_GAIN
from mmdream.jobs.captions import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, truncate_text
from mmdream.jobs.portrait import DYNAMIC_RANGE

SPECTROGRAM_SIZE = 160, 64
"""Width and height of a spectrogram, px."""
GAP, SEAM, MARGIN, TITLE_HEIGHT, CAPTION_HEIGHT = 10, 2, 16, 62, 20
"""px between cells, between a dream and its gain, round the sheet, of the lines above, and under a cell."""
TARGET_ASPECT = 1.4
"""Wished width of the sheet over its height."""


@dataclass(frozen=True)
class SheetCell:
    """One dream, or the source."""

    caption: str
    power: np.ndarray
    """float32 [column, band], see `columns.measure_column_power`."""
    gain: np.ndarray
    """The log gain that was applied, nepers, float32 [column, band]; zeros for the source."""


def draw_channel_sheet(title: str, cells: Sequence[SheetCell], rate: int, seconds: float) -> np.ndarray:
    """Lay a source and its dreams side by side, in the order given.

    Args:
        title: above.
        cells: at least one.
        rate: of the sound, samples a second.
        seconds: of the sound.

    Returns:
        uint8 [H, W, 3].
    """
    bands = max(1, int(np.count_nonzero(BAND_EDGES[1:-1] < rate / 2)))
    top = 10 * math.log10(max(1e-12, *(float(cell.power.max()) for cell in cells)))
    width, height = SPECTROGRAM_SIZE[0] + GAP, 2 * SPECTROGRAM_SIZE[1] + SEAM + CAPTION_HEIGHT + GAP
    # As wide as four cells at least, for the words above.
    columns = max(4, round(math.sqrt(len(cells) * TARGET_ASPECT * height / width)))
    picture = blank_canvas(
        TITLE_HEIGHT + -(-len(cells) // columns) * height + MARGIN - GAP, 2 * MARGIN + columns * width - GAP
    )
    room = picture.shape[1] - 2 * MARGIN
    draw_text(picture, truncate_text(title, 17, room), (MARGIN, 29), 17, TEXT_GREY)
    told = f"{seconds:.1f} s; {BAND_EDGES[1]:.0f} to {BAND_EDGES[bands]:,.0f} Hz; below each: gain, -15 dB blue, 15 dB red"
    draw_text(picture, truncate_text(told, 13, room), (MARGIN, 50), 13, DIM_GREY)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * width, TITLE_HEIGHT + row * height
        level = 10 * np.log10(np.maximum(cell.power[:, :bands], 1e-30))
        gain, most = DB_PER_NEPER * cell.gain[:, :bands], DB_PER_NEPER * MAX_GAIN
        for values, colours, ends in (
            (level, "magma", (top - DYNAMIC_RANGE, top)),
            (gain, "RdBu_r", (-most, most)),
        ):
            picture[y : y + SPECTROGRAM_SIZE[1], x : x + SPECTROGRAM_SIZE[0]] = _color_spectrogram(
                values, colours, ends
            )
            y += SPECTROGRAM_SIZE[1] + SEAM
        draw_text(picture, truncate_text(cell.caption, 12, SPECTROGRAM_SIZE[0]), (x, y + 12), 12, TEXT_GREY)
    return picture


def _color_spectrogram(values: np.ndarray, colours: str, ends: tuple[float, float]) -> np.ndarray:
    """Values [column, band] as a small picture, low bands at its foot; uint8 [SIZE[1], SIZE[0], 3]."""
    import matplotlib

    share = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1).T[::-1]
    smaller = cv2.resize(
        np.ascontiguousarray(share, np.float32), SPECTROGRAM_SIZE, interpolation=cv2.INTER_AREA
    )
    return np.asarray(matplotlib.colormaps[colours](smaller, bytes=True))[..., :3]
