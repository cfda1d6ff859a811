"""What each kind of sound file holds, one row a suffix, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffmpeg
import soundfile

from mmdream.core.errors import UserError
from mmdream.film.binary import run_ffmpeg
from mmdream.film.source import MAX_CHANNELS, AudioTrack


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One kind of sound file: what it holds without change, and FFmpeg's options for it."""

    name: str
    options: Mapping[str, Any]
    channels: int = MAX_CHANNELS
    """At most."""
    rates: frozenset[int] | range = range(1, 2**32)
    """Samples a second."""
    shortest: int = 1
    """Samples."""
    unsupported_layouts: frozenset[str] = field(default=frozenset())
    """Channel layouts that its encoder refuses."""

    def refusal(self, rate: int, channels: int, layout: str) -> str | None:
        """Why it cannot hold a sound; None: it can."""
        if channels > self.channels:
            return f"{self.name} holds at most {self.channels} channels, and this sound has {channels}"
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
    ".mp3": AudioFormat(
        "MP3",
        {"acodec": "libmp3lame", "aq": 0},
        2,
        frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}),
        shortest=47,  # LAME fills shorter sounds up.
    ),
    ".m4a": AudioFormat(
        "AAC",
        {"acodec": "aac", "audio_bitrate": "256k", "movflags": "+faststart"},
        8,
        frozenset({7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}),
        unsupported_layouts=frozenset({"3.1.2", "5.1.2", "cube"}),
    ),
}
"""How a dreamed sound is written, by suffix."""
AUDIO_SUFFIXES = tuple(AUDIO_FORMATS)


def check_audio_format(path: Path, sound: AudioTrack) -> None:
    """Refuse a kind of file that cannot hold a sound as it is; to be asked before the work.

    Raises:
        UserError: names the kinds that can.
    """
    form, about = AUDIO_FORMATS[path.suffix.lower()], (sound.rate, sound.channels, sound.layout)
    if refusal := form.refusal(*about):
        others = ", ".join(suffix for suffix, other in AUDIO_FORMATS.items() if other.refusal(*about) is None)
        raise UserError(f"{path}: {refusal}; write it as {others}")


def encode_audio(wave: Path, out: Path) -> None:
    """Write a wave file in the form that a suffix asks for.

    Args:
        wave: float32, with the channels' places in its header, see `waves.create_wave`.
        out: of one of `AUDIO_SUFFIXES`.

    Raises:
        UserError: too short for the form, or the disk is full.
    """
    form = AUDIO_FORMATS[out.suffix.lower()]
    if 0 < soundfile.info(wave).frames < form.shortest:
        raise UserError(
            f"{out.name}: {form.name} holds no sound shorter than {form.shortest} samples; write it as .wav"
        )
    run_ffmpeg(ffmpeg.input(str(wave)).output(str(out), **form.options), out)
