"""Films with several sound tracks, made packet by packet, and what their packets are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from make import TICKS, make_picture

OPTIONS = {"strict": "experimental"}
"""Of the sound encoders: FFmpeg's own Vorbis asks for it."""
BLOCK = 960
"""Samples of a frame that is handed to an encoder."""


@dataclass(frozen=True)
class Track:
    """A sound track to be written."""

    sound: np.ndarray
    """float32 [channel, sample]."""
    rate: int
    layout: str
    codec: str
    language: str | None = None
    title: str | None = None
    at: Fraction = Fraction(0)
    """Second at which it begins."""
    hole: tuple[float, float] | None = None
    """Seconds from the beginning of the track between which its packets are missing."""
    default: bool = False


def make_clicks(seconds: float, rate: int, channels: int, seed: int) -> np.ndarray:
    """A click of noise of 5 ms each 0.2 to 0.4 s over a soft tone, like no other seed: float32
    [channel, sample]."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    tone = 0.01 * np.sin(2 * np.pi * (180 + 40 * seed) * np.arange(n) / rate)
    sound = tone * np.linspace(0.7, 1, channels)[:, None]
    at = 0.1
    while at < seconds:
        click = sound[:, round(at * rate) : round((at + 0.005) * rate)]
        click += 0.6 * rng.uniform(-1, 1, click.shape)
        at += rng.uniform(0.2, 0.4)
    return sound.astype(np.float32)


def write_multitrack_film(
    path: Path, frames: int, tracks: list[Track], rate: int = 25, first: Fraction = Fraction(0)
) -> Path:
    """Write a film of small pictures from second `first` on with these sound tracks, as its suffix says."""
    ticks = {"movie_timescale": "90000"} if path.suffix in {".mp4", ".mov"} else {}
    with av.open(str(path), "w", container_options=ticks) as out:
        video = out.add_stream("libvpx-vp9" if path.suffix == ".webm" else "libx264", rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = TICKS
        streams = []
        for track in tracks:
            stream = out.add_stream(track.codec, rate=track.rate, layout=track.layout, options=OPTIONS)
            assert isinstance(stream, av.AudioStream)
            if track.language is not None:
                stream.metadata["language"] = track.language
            if track.title is not None:
                stream.metadata["title"] = track.title
            stream.disposition = Disposition.default if track.default else Disposition(0)
            streams.append(stream)
        packets = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(make_picture(number), "rgb24")
            frame.pts, frame.time_base = round((first + Fraction(number, rate)) / TICKS), TICKS
            packets += video.encode(frame)
        packets += video.encode(None)
        for stream, track in zip(streams, tracks, strict=True):
            packets += encode_track(stream, track)
        # As they are played: players read files from one end to the other.
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * (p.time_base or 0)):
            out.mux(packet)
    return path


def encode_track(stream: av.AudioStream, track: Track) -> list[av.Packet]:
    first = round(track.at * track.rate)
    packets = []
    for at in range(0, track.sound.shape[1], BLOCK):
        block = np.ascontiguousarray(track.sound[:, at : at + BLOCK].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, "flt", track.layout)
        frame.sample_rate, frame.pts, frame.time_base = track.rate, first + at, Fraction(1, track.rate)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    if track.hole is None:
        return packets
    low, high = (float(track.at) + second for second in track.hole)
    return [p for p in packets if not low <= float(p.pts * p.time_base) < high]


def read_packets(path: Path, index: int) -> list[tuple[float, str]]:
    """(Second of the file's clock, hash) of the packets of a stream, in order."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            (float(p.pts * p.time_base), hashlib.sha256(bytes(p)).hexdigest())
            for p in container.demux(stream)
            if p.size and p.pts is not None
        ]


def read_track_properties(path: Path) -> list[tuple[str, int, str, str | None, bool]]:
    """(Codec, rate, layout, language, whether default) of each sound track."""
    with av.open(str(path)) as container:
        return [
            (
                s.codec_context.name,
                s.rate,
                s.layout.name,
                s.language if s.language != "und" else None,
                bool(s.disposition & Disposition.default),
            )
            for s in container.streams.audio
        ]
