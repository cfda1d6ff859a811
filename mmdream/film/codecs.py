"""What each kind of film file holds: one row a suffix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmdream.core.errors import UserError


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """How frames are written."""

    name: str
    """FFmpeg's encoder."""
    options: tuple[tuple[str, str], ...]
    even: bool = False
    """Sides must be even."""
    rgb: bool = False
    """Written as RGB, in the source's depth up to 12 bits."""


# Encoder threads are few and fixed: x264's choices depend on their number. Without B-frames its
# macroblock tree saves nothing here, and with them it changed the output from run to run where a side
# is no multiple of 16 (PyAV 18.1).
H264 = VideoCodec(
    "libx264",
    (
        ("preset", "veryfast"),
        ("crf", "17"),
        ("bf", "0"),
        ("threads", "4"),
        ("x264-params", "mbtree=0"),
    ),
    even=True,
)
FFV1 = VideoCodec("ffv1", (("level", "3"), ("slices", "4"), ("g", "1"), ("threads", "4")), rgb=True)
VP9 = VideoCodec(
    "libvpx-vp9",
    (
        ("deadline", "realtime"),
        ("cpu-used", "5"),
        ("row-mt", "1"),
        ("crf", "24"),
        ("b", "0"),
        ("lag-in-frames", "0"),
        ("threads", "4"),
    ),
)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """One kind of film file."""

    muxer: str
    """FFmpeg's name of the container."""
    middle: str
    """Suffix of the files on the way."""
    video: VideoCodec
    sound: str
    """FFmpeg's encoder."""
    subtitles: str
    """The encoder that text subtitles are converted with."""
    pictures: frozenset[str] | None
    """Codecs whose packets may be copied; None: all."""
    audio_tracks: frozenset[str] | None
    copyable_subtitles: frozenset[str] | None
    """Subtitle codecs that may be copied."""

    @property
    def intermediate_muxer(self) -> str:
        """FFmpeg's name of the container on the way."""
        return "mp4" if self.is_mp4 else self.muxer

    @property
    def is_mp4(self) -> bool:
        """Of the QuickTime family: any clock, an edit list, an index that can lie in front."""
        return self.middle == ".mp4"


_MP4 = VideoFormat(
    "mp4",
    ".mp4",
    H264,
    "aac",
    "mov_text",
    frozenset({"h264", "hevc", "av1", "libdav1d", "mpeg4", "vp9"}),
    frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "libopus"}),
    frozenset({"mov_text"}),
)
_MOV = VideoFormat(
    "mov",
    ".mp4",
    H264,
    "aac",
    "mov_text",
    frozenset({"h264", "hevc", "mpeg4", "prores", "mjpeg"}),
    frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"}),
    frozenset({"mov_text"}),
)
_MKV = VideoFormat("matroska", ".mkv", FFV1, "pcm_f32le", "srt", None, None, None)
_WEBM = VideoFormat(
    "webm",
    ".webm",
    VP9,
    "libopus",
    "webvtt",
    frozenset({"vp8", "vp9", "av1", "libvpx", "libvpx-vp9", "libdav1d"}),
    frozenset({"opus", "libopus", "vorbis"}),
    frozenset({"webvtt"}),
)
VIDEO_FORMATS = {".mp4": _MP4, ".mov": _MOV, ".mkv": _MKV, ".webm": _WEBM}
VIDEO_SUFFIXES = tuple(VIDEO_FORMATS)


def video_format(path: Path) -> VideoFormat:
    """The kind of film that a name asks for.

    Raises:
        UserError: an unknown suffix.
    """
    try:
        return VIDEO_FORMATS[path.suffix.lower()]
    except KeyError:
        ending = path.suffix or "a file without ending"
        raise UserError(f"{path}: cannot write a film as {ending}; use {', '.join(VIDEO_FORMATS)}") from None
