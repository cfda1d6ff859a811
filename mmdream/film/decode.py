"""A picture stream decoded on through damage, with the time stamps of the frames that are lost."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer

from mmdream.film.opened import demux_packets, video_decoder


@dataclass
class DecodeDamage:
    """What a reader found on its way; it grows while the frames are read."""

    stream_ends: dict[int, Fraction] = field(default_factory=dict)
    """Seconds on the streams' clocks at which each stream's packets end."""
    truncated: bool = False
    """The file ended with an error or inside a packet."""


def decode_frames(
    container: InputContainer, stream: av.VideoStream, damage: DecodeDamage
) -> Iterator[av.VideoFrame | int]:
    """Decode a picture stream from where its container stands.

    A packet that is broken gives no frame, or one that the decoder patched up: the time stamp is
    given in its place. Packets that give no frame by their nature (VP8's hidden ones) are told from
    broken ones by the decoder's errors: only as many stamps are lost as there were errors.

    Yields:
        Frames in the order in which they are shown, and in their midst the time stamps (ticks) of
        lost ones.
    """
    context = video_decoder(stream)
    awaited: list[int] = []
    errors = 0
    for packet in _stream_packets(container, stream.index, damage):
        if packet is not None and packet.is_corrupt:
            damage.truncated = True
        try:
            decoded = context.decode(packet)
        except av.EOFError:
            decoded = []
        except av.FFmpegError:
            errors += 1
            decoded = []
        if packet is not None and packet.pts is not None and not packet.is_discard:
            heapq.heappush(awaited, packet.pts)
        for frame in decoded:
            passed: list[int] = []
            while frame.pts is not None and awaited and awaited[0] <= frame.pts:
                passed.append(heapq.heappop(awaited))
            missing = [pts for pts in passed if pts != frame.pts]
            lost = missing[-errors:] if errors else []
            errors -= len(lost)
            yield from lost
            if frame.is_corrupt and frame.pts is not None:
                yield frame.pts
            else:
                yield frame
    yield from sorted(awaited)[:errors]


def _stream_packets(
    container: InputContainer, index: int, damage: DecodeDamage
) -> Iterator[av.Packet[av.VideoStream] | None]:
    """Packets of one stream, then None to flush its decoder; every stream's end is noted."""
    try:
        for packet in demux_packets(container):
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                damage.stream_ends[packet.stream_index] = max(
                    damage.stream_ends.get(packet.stream_index, end), end
                )
            if packet.stream_index == index and packet.size:
                yield cast("av.Packet[av.VideoStream]", packet)
    except (av.FFmpegError, OSError):
        damage.truncated = True
    yield None


def get_video_stream(container: InputContainer, index: int) -> av.VideoStream:
    """The picture stream of this number."""
    stream = container.streams[index]
    assert isinstance(stream, av.VideoStream)
    return stream


def seek_keyframe(container: InputContainer, stream: av.VideoStream, pts: int) -> bool:
    """Go to a keyframe at or before a time stamp; False where the file cannot."""
    try:
        container.seek(pts, stream=stream)
    except (av.FFmpegError, OSError, OverflowError):
        return False
    return True
