"""Source and dream side by side: the live preview, and a film to compare both."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.media.image import write_image
from mmdream.media.mux import mux_video
from mmdream.media.probe import MAX_SIDE, MediaFile
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter
from mmdream.settings.report import format_time_code
from mmdream.settings.schedule import FrameSettings
from mmdream.views import canvas
from mmdream.views.canvas import DIM_GREY, TEXT_GREY, blank_canvas, draw_text, fit_size, paste_image

PREVIEW_INTERVAL = 3.0
"""Seconds between two previews."""
MAX_WIDTH, MAX_HEIGHT = 638, 720
"""px of source and dream each, in a preview."""
GAP, CAPTION_HEIGHT = 4, 58
"""px between the two, and below them."""


class Preview:
    """Writes the preview whenever its time has come; between, a call costs nothing.

    The file is replaced at once, so that a viewer never meets half of one. A preview that cannot be written
    does not end the work: the next one may succeed.
    """

    def __init__(
        self,
        path: Path,
        network: str,
        sar: Fraction = Fraction(1),
        interval: float = PREVIEW_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare an image file; `network` is for the caption, `sar` the aspect of the film's pixels."""
        self._path, self._network, self._sar = path, network, sar
        self._interval, self._clock = interval, clock
        self._last: float | None = None

    def __call__(
        self,
        source: np.ndarray,
        dream: np.ndarray,
        seconds: float,
        settings: FrameSettings,
        index: int,
        total: int,
    ) -> None:
        """Take the fields of a `FrameRendered`; the last frame is always shown."""
        now = self._clock()
        if self._last is not None and now - self._last < self._interval and index != total - 1:
            return
        self._last = now
        motifs = " + ".join(f"{name} {share:.0%}" for name, share in settings.motifs if share)
        lines = [
            [format_time_code(seconds), f"frame {index + 1} of {total}", self._network],
            [
                f"octaves {settings.octaves} × {settings.octave_scale:.2f}",
                f"steps {settings.steps}",
                motifs if settings.motifs else f"depth {settings.depth:.2f}",
                f"strength {settings.strength:.2f}",
            ],
        ]
        image = draw_preview(source, dream, self._sar, lines)
        draft = self._path.with_name(f".{self._path.stem}.{os.getpid()}{self._path.suffix}")
        with contextlib.suppress(OSError):
            try:
                write_image(draft, image)
                os.replace(draft, self._path)
            finally:
                draft.unlink(missing_ok=True)


def draw_preview(source: np.ndarray, dream: np.ndarray, sar: Fraction, lines: list[list[str]]) -> np.ndarray:
    """Draw source and dream side by side, float32 [H, W, 3], 0..1, with two lines of words below.

    `sar` is the width of a pixel over its height. Returns uint8 [h, w, 3], at most 1,280 px wide.
    """
    size = fit_size(source.shape[1], source.shape[0], sar, MAX_WIDTH, MAX_HEIGHT)
    sheet = blank_canvas(size[1] + CAPTION_HEIGHT, 2 * size[0] + GAP)
    for rgb, x in ((source, 0), (dream, size[0] + GAP)):
        paste_image(sheet, canvas.to_uint8(canvas.resize_image(rgb, size)), x, 0)
    for number, (words, px, grey) in enumerate(zip(lines, (16, 14), (TEXT_GREY, DIM_GREY), strict=False)):
        text = "     ".join(words)
        px = max(6, min(px, int(px * (sheet.shape[1] - 24) / max(1, canvas.text_width(text, px)))))
        draw_text(sheet, text, (12, size[1] + 24 + 23 * number), px, grey)
    return sheet


def write_comparison(
    film: MediaFile, dream: MediaFile, path: Path, start: Fraction | None, end: Fraction | None
) -> None:
    """Write a film of source, from `start` to `end`, and dream side by side; other files lie beside it."""
    video = dream.video
    assert video is not None
    # Square pixels, an even width, and both halves within the largest frame.
    width = float(video.width * video.sar)
    factor = min(1.0, MAX_SIDE / (2 * width))
    size = max(2, 2 * round(width * factor / 2)), max(1, round(video.height * factor))
    wide = replace(video, width=2 * size[0], height=size[1], sar=Fraction(1))
    middle = path.with_name("picture.mid")
    with (
        VideoWriter(middle, wide, path.suffix.lower(), video.time_base) as writer,
        closing(read_frames(film, start, end)) as source_frames,
        closing(read_frames(dream)) as dream_frames,
    ):
        for source, dreamed in zip(source_frames, dream_frames, strict=True):
            halves = [canvas.resize_image(frame.rgb, size) for frame in (source, dreamed)]
            writer.write(np.hstack(halves), dreamed.pts)
    # The dream is the source here: all but its picture is kept.
    mux_video(replace(dream, video=wide), middle, None, path, on_warning=lambda _line: None)


def comparison_path(out: Path) -> Path:
    """The path of a result's comparison: ``film.dream.mp4`` has ``film.dream.compare.mp4``."""
    return out.with_name(f"{out.stem}.compare{out.suffix}")
