"""A dreamed sound saved on its own, as its name asks for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile

from mmdream.errors import UserError
from mmdream.film.opened import room_for
from mmdream.film.waves import WaveFile, WaveWriter

KINDS = {
    ".wav": ("WAV", "FLOAT"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Suffix: libsndfile's kind and coding of file. `.m4a` is written by FFmpeg."""
SUFFIXES = (*KINDS, ".m4a")
LARGEST_WAV = 2**32 - 2**16
"""Bytes; a longer WAV is written as RF64, its successor."""
OGG_BLOCK = 4096
"""Samples; libsndfile's Vorbis encoder puts what it is handed at once on the stack."""
M4A_RATE = 192_000
"""Bits a second of two channels."""


def save(wave: Path, out: Path) -> None:
    """Write a wave file as another kind.

    Args:
        wave: a float32 wave file.
        out: the result: `.wav` keeps every bit, `.flac` 24 of them, the others compress.

    Raises:
        UserError: an unknown suffix, a rate or channels that the kind cannot hold, or a full disk.
    """
    suffix = out.suffix.lower()
    with WaveFile(wave) as source:
        if suffix == ".m4a":
            _save_m4a(source, out)
            return
        if suffix not in KINDS:
            kind = out.suffix or "a file without ending"
            raise UserError(f"{out}: cannot write a sound as {kind}; use {', '.join(SUFFIXES)}")
        kind, coding = KINDS[suffix]
        if suffix == ".wav" and source.n_samples * source.channels * 4 > LARGEST_WAV:
            kind = "RF64"
        try:
            writer = WaveWriter(out, source.rate, source.channels, kind, coding)
        except soundfile.LibsndfileError as error:
            raise UserError(
                f"{out}: {suffix[1:]} holds no {source.channels} channels at {source.rate} Hz; use .wav"
            ) from error
        with writer:
            for block in source.blocks():
                for at in range(0, block.shape[1], OGG_BLOCK):
                    writer.write(block[:, at : at + OGG_BLOCK])


def _save_m4a(source: WaveFile, out: Path) -> None:
    layout = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    if source.channels not in layout:
        raise UserError(f"{out}: m4a holds no {source.channels} channels; use .wav")
    name = layout[source.channels]
    with room_for(out), av.open(str(out.resolve()), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=source.rate, layout=name)
        stream.bit_rate = M4A_RATE * source.channels // 2
        at = 0
        for block in source.blocks():
            flat = np.ascontiguousarray(block.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(flat, "flt", name)
            frame.sample_rate, frame.pts, frame.time_base = (
                source.rate,
                at,
                Fraction(1, source.rate),
            )
            at += block.shape[1]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
