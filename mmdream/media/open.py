"""Open media files for reading, and run ffmpeg to write them; what can go wrong becomes one clear line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg
from av.container import InputContainer

from mmdream.core.errors import UserError, disk_full_error

OPEN_OPTIONS = {"protocol_whitelist": "file"}
"""A film is a file: playlists that point elsewhere are not followed."""
DEMUX_END_ERROR = IndexError
"""PyAV 18.1 counts the streams when demuxing begins, and fails at its end where one was added on the way."""


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a film or a sound for reading.

    Raises:
        UserError: no such file, a folder, an empty file, no permission, or nothing that can be read.
    """
    if not os.path.exists(path):  # Unlike pathlib's, False for a name that is too long for any file.
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a film in it")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is empty")
    try:
        # The absolute path: a name with a colon would be taken for a protocol.
        container = av.open(str(path.resolve()), options=OPEN_OPTIONS, metadata_errors="replace")
    except PermissionError as error:
        raise UserError(f"{path}: no permission to read it") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as a film or a sound; it is of another kind, or cut off in its header"
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer, index: int) -> av.VideoStream:
    """The video stream of this index."""
    stream = container.streams[index]
    assert isinstance(stream, av.VideoStream)
    return stream


def audio_stream(container: InputContainer, index: int) -> av.AudioStream:
    """The audio stream of this index."""
    stream = container.streams[index]
    assert isinstance(stream, av.AudioStream)
    return stream


def video_decoder(stream: av.VideoStream) -> av.VideoCodecContext:
    """The decoder of a video stream: libvpx for transparent VP9, as FFmpeg's own leaves transparency out."""
    context = stream.codec_context
    if context.name == "vp9" and stream.metadata.get("alpha_mode") == "1":
        libvpx = av.CodecContext.create("libvpx-vp9", "r")
        assert isinstance(libvpx, av.VideoCodecContext)
        context = libvpx
    context.thread_type = "AUTO"
    return context


def merge_audio_video(video: Path, audio: Path, out: Path, audio_encoder: str) -> None:
    """Join a video file, copied, and a sound, encoded, which both begin at 0; errors as in `run_ffmpeg`."""
    # moviepy reads this once, when it is imported.
    os.environ["FFMPEG_BINARY"] = imageio_ffmpeg.get_ffmpeg_exe()
    from moviepy.video.io.ffmpeg_tools import ffmpeg_merge_video_audio

    try:
        ffmpeg_merge_video_audio(str(video), str(audio), str(out), "copy", audio_encoder, logger=None)
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


def _ffmpeg_error(log: str, out: Path) -> Exception:
    if "No space left on device" in log:
        return disk_full_error(out)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return RuntimeError(f"ffmpeg could not write {out.name}: {lines[-1] if lines else 'no reason given'}")
