"""Source and dream side by side as a film, with the dream's sound and the dream's time stamps."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mmdream.media import mux, video_reader
from mmdream.media.probe import MAX_SIDE, MediaFile, VideoTrack
from mmdream.media.video_writer import VideoWriter


def write_comparison(
    film: MediaFile, dream: MediaFile, path: Path, start: Fraction | None, end: Fraction | None
) -> None:
    """Write the film.

    Args:
        film: the source.
        dream: the finished dream of it.
        path: of the comparison, in a folder that files on the way may lie in, too; its suffix chooses the
            container.
        start: second of the source at which the dream begins.
        end: second of the source at which it ends.

    Raises:
        UserError: no room on the disk.
    """
    assert dream.video is not None
    size = _half_size(dream.video)
    wide = replace(dream.video, width=2 * size[0], height=size[1], sar=Fraction(1))
    middle = path.with_name("picture.mid")
    writer = VideoWriter(middle, wide, path.suffix.lower(), dream.video.time_base)
    with (
        writer,
        closing(video_reader.read_frames(film, start, end)) as ones,
        closing(video_reader.read_frames(dream)) as others,
    ):
        for one, other in zip(ones, others, strict=True):
            writer.write(np.hstack([_resize(one.rgb, size), _resize(other.rgb, size)]), other.pts)
    # The dream is the source here: all but its picture is kept.
    mux.mux_video(
        replace(dream, video=wide),
        middle,
        None,
        path,
        start=None,
        end=None,
        keep_picture=False,
        work=path.parent,
        on_warning=lambda _line: None,
    )


def comparison_path(out: Path) -> Path:
    """The name of a result's comparison: ``film.dream.mp4`` has ``film.dream.compare.mp4``."""
    return out.with_name(f"{out.stem}.compare{out.suffix}")


def _half_size(picture: VideoTrack) -> tuple[int, int]:
    """Width and height of each half: square pixels, an even width, and two that fit into one picture."""
    width = float(picture.width * picture.sar)
    factor = min(1.0, MAX_SIDE / (2 * width))
    return max(2, 2 * round(width * factor / 2)), max(1, round(picture.height * factor))


def _resize(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if rgb.shape[1::-1] == size:
        return rgb
    smaller = size[0] < rgb.shape[1]
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
