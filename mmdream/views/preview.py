"""A picture file that shows the newest frame of a running dream: source beside dream, with its settings."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmdream.core.events import EventSink
from mmdream.media import image
from mmdream.settings.schedule import FrameSettings
from mmdream.views.canvas import (
    DIM_GREY,
    TEXT_GREY,
    blank_canvas,
    draw_text,
    fit_size,
    format_time_code,
    resize_to_uint8,
    text_width,
)

if TYPE_CHECKING:  # Names are checked before TensorFlow is loaded.
    from mmdream.render.frames import DreamedFrame

PREVIEW_INTERVAL = 3.0
"""Seconds between two pictures."""
MAX_WIDTH, MAX_HEIGHT = 638, 720
"""px of each of the two pictures."""
GAP, CAPTION_HEIGHT = 4, 58


class Preview:
    """Writes the picture whenever its time has come; between, a call costs nothing.

    The file is replaced at once, so that a viewer never meets half of one. A preview that cannot be written
    does not end a night's work: the next one may succeed.
    """

    def __init__(
        self,
        path: Path,
        network: str,
        sar: Fraction = Fraction(1),
        interval: float = PREVIEW_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a preview.

        Args:
            path: ends like a picture file.
            network: its name goes into the caption.
            sar: width of the film's pixels over their height.
            interval: seconds.
            clock: tells seconds.
        """
        self._path, self._network, self._sar = path, network, sar
        self._interval, self._clock = interval, clock
        self._last: float | None = None

    def __call__(
        self,
        source: np.ndarray,
        dream: np.ndarray,
        seconds: float,
        moment: FrameSettings,
        index: int,
        total: int,
    ) -> None:
        """Take a finished frame.

        Args:
            source: float32 [H, W, 3], 0..1.
            dream: the same of the dream.
            seconds: of the source.
            moment: the settings it was dreamed with.
            index: number of the frame, from 0.
            total: frames of the film.
        """
        now = self._clock()
        if self._last is not None and now - self._last < self._interval and index != total - 1:
            return
        self._last = now
        picture = draw_preview(
            source, dream, self._sar, _format_captions(self._network, seconds, moment, index, total)
        )
        draft = self._path.with_name(f".{self._path.stem}.{os.getpid()}{self._path.suffix}")
        with contextlib.suppress(OSError):
            try:
                image.write_image(draft, picture.astype(np.float32) / 255)
                os.replace(draft, self._path)
            finally:
                draft.unlink(missing_ok=True)


def notify_frames(
    dreams: Generator[DreamedFrame, None, None], listener: EventSink, first: int, total: int
) -> Generator[DreamedFrame, None, None]:
    """Pass dreams on, and show them to a listener on the way.

    Args:
        dreams: from frame `first` on; closed at the end.
        listener: shown each frame.
        first: number of the first frame.
        total: frames of the film.
    """
    with closing(dreams):
        for index, dreamed in enumerate(dreams, first):
            seconds = float(dreamed.frame.seconds)
            listener.frame(dreamed.frame.rgb, dreamed.rgb, seconds, dreamed.moment, index, total)
            yield dreamed


def _format_captions(
    network: str, seconds: float, moment: FrameSettings, index: int, total: int
) -> list[list[str]]:
    settings = [
        f"octaves {moment.octaves} × {moment.octave_scale:.2f}",
        f"steps {moment.steps}",
        f"depth {moment.depth:.2f}",
        f"strength {moment.strength:.2f}",
    ]
    if moment.motifs:
        shown = [f"{name} {share:.0%}" for name, share in moment.motifs if share]
        settings[2] = " + ".join(shown)
    return [[format_time_code(seconds), f"frame {index + 1} of {total}", network], settings]


def draw_preview(source: np.ndarray, dream: np.ndarray, sar: Fraction, lines: list[list[str]]) -> np.ndarray:
    """Source and dream side by side, with two lines of words below.

    Args:
        source: float32 [H, W, 3], 0..1.
        dream: the same of the dream.
        sar: width of a pixel over its height.
        lines: the words of each line; the first is brighter.

    Returns:
        uint8 [h, w, 3], at most 1,280 px wide.
    """
    height, width = source.shape[:2]
    size = fit_size(width, height, sar, MAX_WIDTH, MAX_HEIGHT)
    sheet = blank_canvas(size[1] + CAPTION_HEIGHT, 2 * size[0] + GAP)
    sheet[: size[1], : size[0]] = resize_to_uint8(source, size)
    sheet[: size[1], size[0] + GAP :] = resize_to_uint8(dream, size)
    for number, words in enumerate(lines):
        text = "     ".join(words)
        px = 16 if number == 0 else 14
        px = max(6, min(px, int(px * (sheet.shape[1] - 24) / max(1, text_width(text, px)))))
        draw_text(sheet, text, (12, size[1] + 24 + 23 * number), px, TEXT_GREY if number == 0 else DIM_GREY)
    return sheet
