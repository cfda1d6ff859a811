"""The comparison: a film of source and dream side by side, with the dream's sound and time stamps."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mmdream.media.mux import mux_video
from mmdream.media.probe import MAX_SIDE, MediaFile, VideoTrack
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter
from mmdream.views.canvas import resize_image


def write_comparison(
    film: MediaFile, dream: MediaFile, path: Path, start: Fraction | None, end: Fraction | None
) -> None:
    """Write the comparison.

    Args:
        film: the source.
        dream: the finished dream of it.
        path: of the comparison; files on the way lie beside it; its suffix chooses the container.
        start: second of the source at which the dream begins.
        end: second of the source at which it ends.

    Raises:
        UserError: no room on the disk.
    """
    assert dream.video is not None
    size = _half_size(dream.video)
    wide = replace(dream.video, width=2 * size[0], height=size[1], sar=Fraction(1))
    middle = path.with_name("picture.mid")
    with (
        VideoWriter(middle, wide, path.suffix.lower(), dream.video.time_base) as writer,
        closing(read_frames(film, start, end)) as source_frames,
        closing(read_frames(dream)) as dream_frames,
    ):
        for source, dreamed in zip(source_frames, dream_frames, strict=True):
            halves = [resize_image(source.rgb, size), resize_image(dreamed.rgb, size)]
            writer.write(np.hstack(halves), dreamed.pts)
    # The dream is the source here: all but its picture is kept.
    mux_video(replace(dream, video=wide), middle, None, path, on_warning=lambda _line: None)


def comparison_path(out: Path) -> Path:
    """The path of a result's comparison: ``film.dream.mp4`` has ``film.dream.compare.mp4``."""
    return out.with_name(f"{out.stem}.compare{out.suffix}")


def _half_size(video: VideoTrack) -> tuple[int, int]:
    """Width and height of each half: square pixels, an even width, and both within the largest frame."""
    width = float(video.width * video.sar)
    factor = min(1.0, MAX_SIDE / (2 * width))
    return max(2, 2 * round(width * factor / 2)), max(1, round(video.height * factor))
