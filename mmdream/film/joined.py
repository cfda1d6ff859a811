"""The parts of a film's picture joined into one file, packet by packet: nothing is encoded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from av import Packet, VideoStream
from av.container import InputContainer

from mmdream.core.errors import Interrupted
from mmdream.film.opened import open_media
from mmdream.film.source import VideoTrack
from mmdream.film.writer import VideoWriter


def count_frames(path: Path) -> int:
    """Frames in a file written by `Writer`.

    A full disk may show only when a file is closed, and not even then: whoever has to rely on a file
    counts what is in it.

    Raises:
        UserError: the file cannot be read.
    """
    with open_media(path) as container:
        return sum(not packet.is_corrupt for packet in _video_packets(container))


def join_parts(
    parts: Sequence[Path],
    out: Path,
    picture: VideoTrack,
    suffix: str,
    pts: Sequence[int],
    time_base: Fraction,
    stopped: Callable[[], bool],
) -> None:
    """Write the file that one `Writer` for all frames would have written.

    Args:
        parts: files written by `Writer`, in order.
        out: the file, of any name.
        picture: of the source.
        suffix: of the final film.
        pts: the time stamps of all frames, ticks; each packet is given its own, whatever a container
            made of it.
        time_base: seconds of a tick.
        stopped: asked at each part; True ends the work.

    Raises:
        UserError: the disk is full.
        Interrupted: `stopped` said so.
        RuntimeError: the parts do not fit the time stamps.
    """
    number = 0
    with VideoWriter(out, picture, suffix, time_base) as writer:
        for part in parts:
            if stopped():
                raise Interrupted
            with open_media(part) as container:
                for packet in _video_packets(container):
                    if number == len(pts):
                        raise RuntimeError(f"{part.name} has more frames than were planned")
                    writer.copy(packet, pts[number])
                    number += 1
    if number != len(pts):
        raise RuntimeError(f"the parts have {number} frames instead of {len(pts)}")


def _video_packets(container: InputContainer) -> Iterator[Packet[VideoStream]]:
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)
