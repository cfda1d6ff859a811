"""The kinds of film and sound file that are written: one row a suffix, and what each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ffmpeg
import soundfile

from mmdream.core.errors import UserError
from mmdream.media.open import run_ffmpeg
from mmdream.media.probe import MAX_CHANNELS, AudioTrack

AAC_RATES = frozenset(
    {7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
)
MP3_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """How frames are encoded."""

    name: str
    """FFmpeg's encoder."""
    options: Mapping[str, str]
    even: bool = False
    """Sides must be even."""
    rgb: bool = False
    """Written as RGB, in the source's depth up to 12 bits."""


# Encoder threads are few and fixed: x264's choices depend on their number. Without B-frames its
# macroblock tree saves nothing here, and with them it changed the output from run to run where a side
# is no multiple of 16 (PyAV 18.1).
H264 = VideoCodec(
    "libx264",
    {"preset": "veryfast", "crf": "17", "bf": "0", "threads": "4", "x264-params": "mbtree=0"},
    even=True,
)
FFV1 = VideoCodec("ffv1", {"level": "3", "slices": "4", "g": "1", "threads": "4"}, rgb=True)
VP9 = VideoCodec(
    "libvpx-vp9",
    {
        "deadline": "realtime",
        "cpu-used": "5",
        "row-mt": "1",
        "crf": "24",
        "b": "0",
        "lag-in-frames": "0",
        "threads": "4",
    },
)


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """One kind of film file."""

    muxer: str
    """FFmpeg's name of the container."""
    intermediate_suffix: str
    """Of the files on the way to it."""
    video: VideoCodec
    audio_encoder: str
    """FFmpeg's name."""
    subtitle_encoder: str
    """The one that text subtitles are converted with."""
    copyable_video: frozenset[str] | None = None
    """Codecs whose packets may be copied; None: all."""
    copyable_audio: frozenset[str] | None = None
    copyable_subtitles: frozenset[str] | None = None

    def can_copy_video(self, codec: str) -> bool:
        """Whether the container takes packets of this codec as they are."""
        return self.copyable_video is None or codec in self.copyable_video

    @property
    def is_mp4(self) -> bool:
        """Of the QuickTime family: any clock, an edit list, an index that can lie in front."""
        return self.intermediate_suffix == ".mp4"


MP4 = VideoFormat(
    "mp4",
    ".mp4",
    H264,
    "aac",
    "mov_text",
    copyable_video=frozenset({"h264", "hevc", "av1", "libdav1d", "mpeg4", "vp9"}),
    copyable_audio=frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "libopus"}),
    copyable_subtitles=frozenset({"mov_text"}),
)
MOV = replace(
    MP4,
    muxer="mov",
    copyable_video=frozenset({"h264", "hevc", "mpeg4", "prores", "mjpeg"}),
    copyable_audio=frozenset(
        {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"}
    ),
)
VIDEO_FORMATS = {
    ".mp4": MP4,
    ".mov": MOV,
    ".mkv": VideoFormat("matroska", ".mkv", FFV1, "pcm_f32le", "srt"),
    ".webm": VideoFormat(
        "webm",
        ".webm",
        VP9,
        "libopus",
        "webvtt",
        copyable_video=frozenset({"vp8", "vp9", "av1", "libvpx", "libvpx-vp9", "libdav1d"}),
        copyable_audio=frozenset({"opus", "libopus", "vorbis"}),
        copyable_subtitles=frozenset({"webvtt"}),
    ),
}
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


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One kind of sound file: FFmpeg's options for it, and what it holds without change."""

    name: str
    options: Mapping[str, Any]
    max_channels: int = MAX_CHANNELS
    rates: frozenset[int] | range = range(1, 2**32)
    """Samples a second."""
    min_samples: int = 1
    unsupported_layouts: frozenset[str] = frozenset()
    """Channel layouts that its encoder refuses."""

    def refusal(self, rate: int, channels: int, layout: str) -> str | None:
        """Why it cannot hold a sound; None: it can."""
        if channels > self.max_channels:
            return f"{self.name} holds at most {self.max_channels} channels, and this sound has {channels}"
        if rate not in self.rates:
            return f"{self.name} does not hold {rate} samples a second"
        if layout in self.unsupported_layouts:
            return f"{self.name} does not hold the channel layout {layout}"
        return None


# What an encoder holds was tried with every FFmpeg layout of up to 24 channels and rates from 1 Hz to 3 MHz.
AUDIO_FORMATS = {
    # Float samples hold every level; rf64 lets a file grow beyond 4 GB.
    ".wav": AudioFormat("WAV", {"acodec": "pcm_f32le", "rf64": "auto"}),
    # Without a frame size the encoder derives one from rate or length, and refuses it below 16 samples.
    ".flac": AudioFormat(
        "FLAC", {"acodec": "flac", "sample_fmt": "s32", "frame_size": 4096}, 8, range(1, 2**20)
    ),
    # libvorbis' quality 7 ends at 200 kHz; with 63 channels FFmpeg's packet buffer is too small.
    ".ogg": AudioFormat("Ogg Vorbis", {"acodec": "libvorbis", "aq": 7}, 32, range(1, 200_001)),
    # LAME fills shorter sounds up.
    ".mp3": AudioFormat("MP3", {"acodec": "libmp3lame", "aq": 0}, 2, MP3_RATES, min_samples=47),
    ".m4a": AudioFormat(
        "AAC",
        {"acodec": "aac", "audio_bitrate": "256k", "movflags": "+faststart"},
        8,
        AAC_RATES,
        unsupported_layouts=frozenset({"3.1.2", "5.1.2", "cube"}),
    ),
}
AUDIO_SUFFIXES = tuple(AUDIO_FORMATS)


def check_audio_format(path: Path, track: AudioTrack) -> None:
    """Refuse a kind of file that cannot hold a sound as it is; to be asked before the work.

    Raises:
        UserError: names the kinds that can.
    """
    properties = track.rate, track.channels, track.layout
    if refusal := AUDIO_FORMATS[path.suffix.lower()].refusal(*properties):
        others = (suffix for suffix, other in AUDIO_FORMATS.items() if other.refusal(*properties) is None)
        raise UserError(f"{path}: {refusal}; write it as {', '.join(others)}")


def encode_audio(wave: Path, out: Path) -> None:
    """Write a float32 wave file in the format that `out`'s suffix, of `AUDIO_SUFFIXES`, asks for.

    Raises:
        UserError: too short for the format, or the disk is full.
    """
    audio_format = AUDIO_FORMATS[out.suffix.lower()]
    if 0 < soundfile.info(wave).frames < audio_format.min_samples:
        raise UserError(
            f"{out.name}: {audio_format.name} holds no sound shorter than "
            f"{audio_format.min_samples} samples; write it as .wav"
        )
    run_ffmpeg(ffmpeg.input(str(wave)).output(str(out), **audio_format.options), out)
