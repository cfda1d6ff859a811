"""The disk space a job takes, told before it begins."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from mmdream.core.errors import UserError
from mmdream.media.formats import VIDEO_FORMATS
from mmdream.media.probe import AudioTrack, VideoTrack
from mmdream.render.parts import KEPT_STATES

BYTES_PER_PIXEL = {"libx264": 0.35, "ffv1": 2.4, "libvpx-vp9": 0.25}
"""Of a dreamed frame, measured on the sample film and on noise added to it; 10 bits take a quarter more."""
STATE_BYTES_PER_PIXEL = 17
"""Of a pixel: three floats, and at half size four more and a grey picture."""
VIDEO_COPIES = 4
"""Parts, the file they are joined into, that with its sound, and the result."""
SOUND_COPIES = 3
"""Float files of the sound: as decoded, as dreamed, and levelled."""
REFUSAL_FACTOR = 2.0
"""Films differ: the work is refused where even half of what is expected does not fit."""


def estimate_disk_bytes(
    picture: VideoTrack | None,
    size: tuple[int, int],
    suffix: str,
    frames: int,
    sound: AudioTrack | None,
    seconds: Fraction | float,
    others: Sequence[AudioTrack] = (),
) -> int:
    """Bytes that a job takes where it takes most, shortly before its end.

    Args:
        picture: of the source, if it is dreamed.
        size: height, width of the working resolution, px.
        suffix: of the result.
        frames: to be dreamed.
        sound: of the source, if it is dreamed.
        seconds: of it.
        others: the source's other sounds; those that the container refuses are decoded on the way.
    """
    total = 0.0
    if picture is not None:
        a_pixel = BYTES_PER_PIXEL[VIDEO_FORMATS[suffix].video.name]
        if VIDEO_FORMATS[suffix].video.rgb and picture.bit_depth > 8:
            a_pixel *= 1.25
        total += VIDEO_COPIES * a_pixel * picture.width * picture.height * frames
        total += KEPT_STATES * STATE_BYTES_PER_PIXEL * size[0] * size[1]
    if sound is not None:
        total += SOUND_COPIES * 4 * sound.channels * sound.rate * float(seconds)
    held = VIDEO_FORMATS[suffix].copyable_audio
    for other in others:
        if held is not None and other.codec not in held:
            total += 4 * other.channels * other.rate * float(seconds)
    return math.ceil(total)


def check_disk_space(folder: Path, needed: int) -> str:
    """The line that tells expected and free space.

    Args:
        folder: where the job works.
        needed: bytes that are still to be written.

    Raises:
        UserError: it will clearly not fit.
    """
    free = shutil.disk_usage(folder).free
    if free * REFUSAL_FACTOR < needed:
        raise UserError(
            f"{folder.parent}: {format_bytes(free)} are free, and the work takes about {format_bytes(needed)}; make room, "
            "or work elsewhere with --job-dir"
        )
    return f"takes up to {format_bytes(needed)} in {folder} while it works; {format_bytes(free)} are free"


def format_bytes(size: float) -> str:
    """Bytes for a person."""
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} GB"


def count_used_bytes(folder: Path) -> int:
    """Bytes that the finished parts in a job's folder take."""
    places = (folder / "picture", folder / "sound")
    return sum(path.stat().st_size for place in places if place.is_dir() for path in place.iterdir())
