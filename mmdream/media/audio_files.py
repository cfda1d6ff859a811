"""Decode audio tracks to wave files on the film's clock, block by block, so that memory stays flat."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
import soundfile

from mmdream.core.errors import disk_full_error
from mmdream.media.probe import DEMUX_END_ERROR, AudioTrack, MediaFile, open_media

BLOCK_SAMPLES = 1 << 16
"""Of silence handed on at once."""
FINE_TIME_BASE = Fraction(1, 8000)
FINE_GAP = Fraction(1, 200)
COARSE_GAP = Fraction(1, 25)
"""Seconds that sound must be missing, or too much, before the stamps are believed. On clocks finer than
`FINE_TIME_BASE` stamps are counted in samples; Matroska's of 1 ms wander, and Vorbis blocks of uneven length
are stamped up to 20 ms off, with no sample missing."""
MIN_SILENCE_BYTES = 1 << 27
MAX_SILENCE_RATIO = 1000
"""Bytes of silence that gaps may have, in any file and for each byte of it: a stamp that claims more is not
believed, or a file of some kilobytes would fill the disk."""
CHANNEL_MASK_BITS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
"""FFmpeg's names of the bits of a wave file's channel mask, lowest first."""
CHANNEL_MASK_OFFSET = 8 + 20
"""Bytes from the beginning of the format chunk to the channel mask in it."""
WAVE_HEADER_BYTES = 1 << 16
"""At most, up to the format chunk."""


@dataclass(frozen=True, slots=True)
class DecodedSpan:
    """What a wave file holds of an audio track."""

    start: Fraction
    """Seconds since `MediaFile.start` of the first sample."""
    n_samples: int


class WaveWriter:
    """A float32 wave file (RF64, without a limit of 4 GB) to append samples to; used as a context manager.

    `rate` is samples a second, `layout` FFmpeg's name (None: the usual one). A full disk is a `UserError`.
    """

    def __init__(self, path: Path, rate: int, channels: int, layout: str | None = None) -> None:
        self._path = path
        self._layout = layout
        self._file = soundfile.SoundFile(path, "w", rate, channels, "FLOAT", format="RF64")
        self.n_samples = 0

    def write(self, samples: np.ndarray) -> None:
        """Append float32 [channel, sample]."""
        try:
            self._file.write(np.ascontiguousarray(samples.T))
        except (soundfile.LibsndfileError, AssertionError) as error:
            # libsndfile does not tell why a file stops growing.
            raise disk_full_error(self._path) from error
        self.n_samples += samples.shape[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._layout is not None:
            write_channel_mask(self._path, self._layout)


def write_channel_mask(path: Path, layout: str) -> None:
    """Say in the header of a `WaveWriter`'s file which layout its channels have, if a wave file can.

    libsndfile takes the usual one of so many channels, and soundfile cannot tell it another. Wave files and
    FFmpeg number the places alike, and both store channels in that order.
    """
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    if set(names) <= set(CHANNEL_MASK_BITS):
        mask = sum(1 << CHANNEL_MASK_BITS.index(name) for name in names)
        with open(path, "rb+") as file:
            file.seek(file.read(WAVE_HEADER_BYTES).index(b"fmt ") + CHANNEL_MASK_OFFSET)
            file.write(struct.pack("<I", mask))


def extract_audio(
    film: MediaFile, track: AudioTrack, path: Path, start: Fraction | None = None, end: Fraction | None = None
) -> DecodedSpan:
    """Decode an audio track to a float32 wave file, as it lies on the film's clock; gaps become silence.

    `start` and `end` are seconds since `MediaFile.start`. The track is decoded from its beginning, whatever
    is kept: so an excerpt has the samples of the whole, which a jump loses (AAC fills noisy bands from a
    running generator, Matroska's clock is rounded). What a decoder gives beyond the length that an MP4 states
    is cut: its codecs pad their last packet (PyAV gave 789 samples too many of an AAC track).
    """
    first = 0 if start is None else max(0, math.ceil((start - track.start) * track.rate))
    ends = [] if track.duration is None else [round(track.duration * track.rate)]
    if end is not None:
        ends.append(math.ceil((end - track.start) * track.rate))
    stop = min(ends, default=None)
    with WaveWriter(path, track.rate, track.channels, track.layout) as wave:
        for position, samples in decode_audio(film, track):
            if stop is not None and position >= stop:
                break
            kept = samples[:, max(first - position, 0) : None if stop is None else stop - position]
            if kept.shape[1]:
                wave.write(kept)
        return DecodedSpan(track.start + Fraction(first, track.rate), wave.n_samples)


def decode_audio(film: MediaFile, track: AudioTrack) -> Iterator[tuple[int, np.ndarray]]:
    """A whole track in blocks without gap or overlap: (position of the first sample, [channel, sample]).

    Samples are float32, gaps silence, blocks at most about a second long.
    """
    is_exact = track.time_base <= FINE_TIME_BASE and track.codec != "vorbis"
    tolerance = math.ceil(((FINE_GAP if is_exact else COARSE_GAP) + 2 * track.time_base) * track.rate)
    silence_bytes = max(MIN_SILENCE_BYTES, MAX_SILENCE_RATIO * film.path.stat().st_size)
    silence_left = silence_bytes // (4 * track.channels)
    position = 0
    for stamped, samples, resumed in _decode_blocks(film, track):
        gap = 0 if stamped is None or stamped - position > silence_left else stamped - position
        if abs(gap) > (2 if resumed else tolerance):
            if gap > 0:
                silence_left -= gap
                for at in range(position, position + gap, BLOCK_SAMPLES):
                    length = min(BLOCK_SAMPLES, position + gap - at)
                    yield at, np.zeros((track.channels, length), np.float32)
                position += gap
            else:
                samples = samples[:, -gap:]
        if samples.shape[1]:
            yield position, samples
            position += samples.shape[1]


def _decode_blocks(film: MediaFile, track: AudioTrack) -> Iterator[tuple[int | None, np.ndarray, bool]]:
    """Decoded blocks: (position by its time stamp, float32 [channel, sample], whether damage lies before)."""
    with open_media(film.path) as container:
        packets = container.demux(container.streams[track.index])
        resampler: av.AudioResampler | None = None
        last_format: tuple[str, str, int] | None = None
        resumed = False
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.InvalidDataError:
                resumed = True
                continue
            except (av.FFmpegError, OSError, DEMUX_END_ERROR):
                return  # Cut off: what came so far is what there is.
            if packet is None:
                return
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                stamped = None
                if frame.pts is not None:
                    seconds = frame.pts * track.time_base - film.start - track.start
                    stamped = round(seconds * track.rate)
                frame_format = frame.format.name, frame.layout.name, frame.sample_rate
                if resampler is None or frame_format != last_format:
                    # A stream may change its format; each stretch has a resampler of its own. Packed: of more
                    # than eight planes PyAV 18.1 reads the ninth from no address, and crashes.
                    resampler, last_format = av.AudioResampler("flt", track.layout, track.rate), frame_format
                frame.pts = None
                samples = [part.to_ndarray()[0] for part in resampler.resample(frame)]
                packed = np.concatenate([*samples, np.zeros(0, np.float32)])
                yield stamped, packed.reshape(-1, track.channels).T, resumed
                resumed = False
