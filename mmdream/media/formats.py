"""The kinds of film and sound file that are written, what each can hold, and ffmpeg, which writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg
import soundfile

from mmdream.core.errors import UserError, disk_full_error
from mmdream.media.probe import MAX_CHANNELS, AudioTrack

AAC_RATES = frozenset(av.Codec("aac", "w").audio_rates or ())
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
    """FFmpeg's name, as those of the encoders."""
    intermediate_suffix: str
    """Of the files on the way to it."""
    video: VideoCodec
    audio_encoder: str
    subtitle_encoder: str
    """For text subtitles."""
    copyable_video: frozenset[str] | None = None
    """Codecs whose packets may be copied; None: all."""
    copyable_audio: frozenset[str] | None = None
    copyable_subtitles: frozenset[str] | None = None

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
    """The kind of film that a name asks for; an unknown suffix is a `UserError`."""
    if path.suffix.lower() not in VIDEO_FORMATS:
        ending = path.suffix or "a file without ending"
        raise UserError(f"{path}: cannot write a film as {ending}; use {', '.join(VIDEO_FORMATS)}")
    return VIDEO_FORMATS[path.suffix.lower()]


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
    """Refuse, before any work, a kind of file that cannot hold a sound as it is; names the kinds that can."""
    properties = track.rate, track.channels, track.layout
    if refusal := AUDIO_FORMATS[path.suffix.lower()].refusal(*properties):
        others = (suffix for suffix, other in AUDIO_FORMATS.items() if other.refusal(*properties) is None)
        raise UserError(f"{path}: {refusal}; write it as {', '.join(others)}")


def encode_audio(wave: Path, out: Path, credits_: Sequence[str] = ()) -> None:
    """Write a float32 wave file as `out`'s suffix, of `AUDIO_SUFFIXES`, asks for.

    Its comment tells the credits, who is to be named for what is in it. A `UserError` where the sound is too
    short for the format, or the disk is full.
    """
    audio_format = AUDIO_FORMATS[out.suffix.lower()]
    if 0 < soundfile.info(wave).frames < audio_format.min_samples:
        raise UserError(
            f"{out.name}: {audio_format.name} holds no sound shorter than "
            f"{audio_format.min_samples} samples; write it as .wav"
        )
    options = {**audio_format.options, **comment_option("", credits_)}
    run_ffmpeg(ffmpeg.input(str(wave)).output(str(out), **options), out)


def comment_option(comment: str, credits_: Sequence[str]) -> dict[str, str]:
    """The option that adds credits to a file's comment; none where there are none."""
    lines = [comment, *(f"Sounds in it: {credit}" for credit in credits_)]
    return {"metadata": "comment=" + "\n".join(filter(None, lines))} if credits_ else {}


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
    """Run a graph of ffmpeg-python's that writes `out`; a `RuntimeError`, or a `UserError` on a full disk."""
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
