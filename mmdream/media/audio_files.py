"""Sound in blocks: a film's track laid on the film's clock, and wave files that grow.

Blocks keep memory flat for any length; 32-bit floats keep every sample that a decoder gives.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import soundfile

from mmdream.core.errors import disk_full_error
from mmdream.media.open import demux_packets, open_media
from mmdream.media.probe import AudioTrack, MediaFile

BLOCK_SAMPLES = 1 << 16
"""Samples handled at once."""
FINE_TIME_BASE = Fraction(1, 8000)
FINE_GAP = Fraction(1, 200)
COARSE_GAP = Fraction(1, 25)
"""Seconds that sound must be missing, or too much, before the stamps are believed. On clocks finer
than `FINE_TIME_BASE` stamps are counted in samples; Matroska's of 1 ms wander, and Vorbis blocks of
uneven length are stamped up to 20 ms off, with no sample missing."""
MIN_SILENCE_BYTES = 1 << 27
MAX_SILENCE_RATIO = 1000
"""Bytes of silence that gaps may have, in any file and for each byte of it: a stamp that claims more is not
believed, or a file of some kilobytes would fill the disk."""


@dataclass(frozen=True, slots=True)
class DecodedSpan:
    """What was laid down of a sound track."""

    start: Fraction
    """Seconds since `MediaFile.start` of the first sample."""
    n_samples: int


CHANNEL_MASK_BITS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
"""FFmpeg's names of the bits of a wave file's channel mask, lowest first."""
CHANNEL_MASK_OFFSET = 8 + 20
"""Bytes from the beginning of the format chunk to the channel mask in it."""


class WaveWriter:
    """A wave file that samples are appended to; used as a context manager."""

    def __init__(self, path: Path, rate: int, channels: int, layout: str | None = None) -> None:
        """Begin a file; RF64 has no limit of 4 GB."""
        self._path = path
        self._layout = layout
        self._file = soundfile.SoundFile(path, "w", rate, channels, "FLOAT", format="RF64")
        self.n_samples = 0

    def write(self, samples: np.ndarray) -> None:
        """Append float32 [channel, sample].

        Raises:
            UserError: the disk is full.
        """
        try:
            self._file.write(np.ascontiguousarray(samples.T))
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise disk_full_error(self._path) from error  # libsndfile does not tell why a file stops growing.
        self.n_samples += samples.shape[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._layout is not None:
            write_channel_mask(self._path, self._layout)


def create_wave(path: Path, rate: int, channels: int, layout: str | None = None) -> WaveWriter:
    """Begin a float32 wave file.

    Args:
        path: of the file.
        rate: samples a second.
        channels: number of channels.
        layout: FFmpeg's name of where they stand; None: the usual places.
    """
    return WaveWriter(path, rate, channels, layout)


def write_channel_mask(path: Path, layout: str) -> None:
    """Say in a wave file of `create_wave` where its channels stand, if a wave file has a name for that.

    libsndfile takes the usual places of so many channels, and soundfile cannot tell it others.
    """
    if marked := channel_mask(layout):
        with open(path, "rb+") as file:
            file.seek(file.read(BLOCK_SAMPLES).index(b"fmt ") + CHANNEL_MASK_OFFSET)
            file.write(struct.pack("<I", marked))


def channel_mask(layout: str) -> int:
    """The channel mask of a wave file; 0: the layout has none.

    Wave files and FFmpeg number the places alike, and both store channels in that order.
    """
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    return (
        sum(1 << CHANNEL_MASK_BITS.index(name) for name in names)
        if set(names) <= set(CHANNEL_MASK_BITS)
        else 0
    )


def extract_audio(
    film: MediaFile, sound: AudioTrack, path: Path, start: Fraction | None = None, end: Fraction | None = None
) -> DecodedSpan:
    """Decode a sound track to a float32 wave file, as it lies on the film's clock.

    The track is decoded from its beginning, whatever is kept: so an excerpt has the samples of the
    whole, which a jump loses (AAC fills noisy bands from a running generator, Matroska's clock is
    rounded). Gaps become silence. What a decoder gives beyond the length that an MP4 states is cut:
    its codecs pad their last packet (PyAV gave 789 samples too many of an AAC track).

    Args:
        film: the source.
        sound: one of its sounds.
        path: of the wave file.
        start: seconds since `MediaFile.start`; samples before are left out.
        end: seconds since `MediaFile.start`; samples from there on are left out.

    Raises:
        UserError: the disk is full.
    """
    first = 0 if start is None else max(0, math.ceil((start - sound.start) * sound.rate))
    last = None if sound.duration is None else round(sound.duration * sound.rate)
    if end is not None:
        stop = math.ceil((end - sound.start) * sound.rate)
        last = stop if last is None else min(stop, last)
    with create_wave(path, sound.rate, sound.channels, sound.layout) as wave:
        for place, samples in _decode_continuous(film, sound):
            stop = place + samples.shape[1]
            if last is not None and place >= last:
                break
            low = max(first - place, 0)
            high = samples.shape[1] if last is None else samples.shape[1] - max(stop - last, 0)
            if low < high:
                wave.write(samples[:, low:high])
        return DecodedSpan(sound.start + Fraction(first, sound.rate), wave.n_samples)


def decode_audio(film: MediaFile, sound: AudioTrack) -> Iterator[np.ndarray]:
    """The samples of a whole track in order, float32 [channel, at most about a second], gaps as silence."""
    for _, samples in _decode_continuous(film, sound):
        yield samples


def _decode_continuous(film: MediaFile, sound: AudioTrack) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks without gap or overlap: (first sample's place in the track, [channel, sample])."""
    exact = sound.time_base <= FINE_TIME_BASE and sound.codec != "vorbis"
    gap = FINE_GAP if exact else COARSE_GAP
    allowed = math.ceil((gap + 2 * sound.time_base) * sound.rate)
    left = max(MIN_SILENCE_BYTES, MAX_SILENCE_RATIO * film.path.stat().st_size) // (4 * sound.channels)
    place = 0
    for stamped, samples, resumed in _decode_blocks(film, sound):
        off = 0 if stamped is None or stamped - place > left else stamped - place
        if abs(off) > (2 if resumed else allowed):
            if off > 0:
                left -= off
                for at in range(place, place + off, BLOCK_SAMPLES):
                    yield at, np.zeros((sound.channels, min(BLOCK_SAMPLES, place + off - at)), np.float32)
                place += off
            else:
                samples = samples[:, -off:]
        if samples.shape[1]:
            yield place, samples
            place += samples.shape[1]


def _decode_blocks(film: MediaFile, sound: AudioTrack) -> Iterator[tuple[int | None, np.ndarray, bool]]:
    """Decoded blocks: (stamped place, float32 [channel, sample], whether damage lies before)."""
    with open_media(film.path) as container:
        stream = container.streams[sound.index]
        assert isinstance(stream, av.AudioStream)
        convert = _FloatConverter(sound)
        resumed = False
        coming = demux_packets(container, stream)
        while True:
            try:
                packet = next(coming, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.EOFError:
                return
            except av.InvalidDataError:
                resumed = True
                continue
            except (av.FFmpegError, OSError):
                return  # Cut off: what came so far is what there is.
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                stamped = None
                if frame.pts is not None:
                    seconds = frame.pts * sound.time_base - film.start - sound.start
                    stamped = round(seconds * sound.rate)
                yield stamped, convert(frame), resumed
                resumed = False


class _FloatConverter:
    """Brings frames of any form to float32 [channel, sample] at the track's rate and channels."""

    def __init__(self, sound: AudioTrack) -> None:
        self._sound = sound
        self._key: tuple[str, str, int] | None = None
        self._resampler: av.AudioResampler | None = None

    def __call__(self, frame: av.AudioFrame) -> np.ndarray:
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key != self._key:
            # A stream may change its form on the way; each stretch has a converter of its own.
            self._key = key
            # Packed: of more than eight planes PyAV 18.1 reads the ninth from no address, and crashes.
            self._resampler = av.AudioResampler("flt", self._sound.layout, self._sound.rate)
        assert self._resampler is not None
        frame.pts = None
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        if not parts:
            return np.zeros((self._sound.channels, 0), np.float32)
        return np.concatenate(parts).reshape(-1, self._sound.channels).T
