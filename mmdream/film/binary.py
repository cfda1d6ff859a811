"""The one ffmpeg binary, run by moviepy and ffmpeg-python, and its complaints in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg

from mmdream.film.opened import disk_full_error


def merge_audio_video(picture: Path, sound: Path, out: Path, sound_codec: str) -> None:
    """Join a picture, copied, and a sound, encoded; both begin at 0.

    Raises:
        UserError: the disk is full.
        RuntimeError: ffmpeg failed otherwise.
    """
    # moviepy reads this once, when it is imported.
    os.environ["FFMPEG_BINARY"] = imageio_ffmpeg.get_ffmpeg_exe()
    from moviepy.video.io.ffmpeg_tools import ffmpeg_merge_video_audio

    try:
        ffmpeg_merge_video_audio(str(picture), str(sound), str(out), "copy", sound_codec, logger=None)
    except OSError as error:
        raise _ffmpeg_error(str(error), out) from error


def run_ffmpeg(graph: Any, out: Path) -> None:
    """Run a graph of ffmpeg-python's that writes `out`.

    Raises:
        UserError: the disk is full.
        RuntimeError: ffmpeg failed otherwise.
    """
    graph = graph.global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    try:
        ffmpeg.run(graph, cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True, quiet=True)
    except ffmpeg.Error as error:
        raise _ffmpeg_error(error.stderr.decode(errors="replace"), out) from error


def _ffmpeg_error(complaint: str, out: Path) -> Exception:
    if "No space left on device" in complaint:
        return disk_full_error(out)
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    return RuntimeError(f"ffmpeg could not write {out.name}: {lines[-1] if lines else 'no reason given'}")
