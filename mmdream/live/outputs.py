"""Where a live dream goes besides the page: into a file, or to a reader elsewhere, each in its own thread."""

from __future__ import annotations

import errno
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mmdream.core.errors import UserError, disk_full_error
from mmdream.core.threads import lower_priority
from mmdream.live.sound import SoundBlock
from mmdream.media.color import ColorSpace, default_matrix, make_rgb_encoder

RECORDING_SUFFIXES = (".mp4", ".mov", ".mkv")
TICKS = 90_000
"""Of a second, on a picture's clock."""
MAX_WAITING = 48
"""Pictures that wait for a slow disk or reader; then they are dropped."""
OUTPUT_NICENESS = 5
"""Of the encoding: behind the dream, but before what else a crowded machine does in the background."""
RETRY_SECONDS = 2.0
READ_PICTURES = 25
"""That go through before a reader counts as there: a socket takes some that nobody will read."""
OPEN_SECONDS = 5.0
MAX_GAP_SECONDS = 0.02
"""That sound may be missing before silence is put there."""
ENCODER = {"preset": "veryfast", "tune": "zerolatency", "crf": "18"}
STREAM_FORMATS = {
    "rtsp": "rtsp",
    "rtmp": "flv",
    "srt": "mpegts",
    "udp": "mpegts",
    "tcp": "mpegts",
}
LISTENS = re.compile(r"[?&](listen=[12]|mode=listener)")
"""An address on which a reader is waited for."""
LOOPBACK = re.compile(r"/dev/video\d+")
FRAGMENTS = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}
"""An MP4 that can be played as far as it was written, whatever ended the writing."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and in which form."""

    place: str
    muxer: str
    options: dict[str, str]
    is_file: bool = False

    @property
    def codec(self) -> str:
        """FFmpeg's encoder of the picture."""
        return {"v4l2": "rawvideo"}.get(self.muxer, "libx264")

    @property
    def takes_sound(self) -> bool:
        """Whether it can hold sound."""
        return self.codec == "libx264"


def parse_stream(text: str) -> Target:
    """What ``--to`` names; `UserError`: nothing that can be written to."""
    if LOOPBACK.fullmatch(text):
        if not Path(text).exists():
            raise UserError(f"--to {text}: there is no such device; load v4l2loopback, or name an address")
        return Target(text, "v4l2", {})
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in STREAM_FORMATS or not rest:
        raise UserError(
            f"--to {text}: write an address of {', '.join(STREAM_FORMATS)} such as rtsp://HOST:8554/dream, "
            "or /dev/videoN; a file goes with -o"
        )
    options = {"rtsp": {"rtsp_transport": "tcp"}}.get(scheme, {})
    return Target(text, STREAM_FORMATS[scheme], options)


def recording_target(path: Path) -> Target:
    """A file for a recording."""
    muxer = "matroska" if path.suffix.lower() == ".mkv" else path.suffix.lower()[1:]
    return Target(str(path.resolve()), muxer, {} if muxer == "matroska" else FRAGMENTS, is_file=True)


class MediaOutput:
    """Encodes pictures and sound in a thread of its own; what waits too long for it is dropped and counted.

    A file that cannot be written ends with a `UserError` in `error`; that a reader went is told once, and
    it is looked for again.
    """

    def __init__(
        self,
        target: Target,
        size: tuple[int, int],
        rate: float,
        sound: tuple[int, int] | None,
        warn: Callable[[str], None],
    ) -> None:
        """`size` is width and height; `sound` its rate and channels."""
        self._target, self._size, self._rate = target, size, rate
        self._sound = sound if target.takes_sound else None
        self._warn = warn
        self._waiting: deque[tuple[float, np.ndarray | SoundBlock]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self.dropped = 0
        self.error: UserError | None = None
        self._is_missed = False
        """A reader went away, or did not come."""
        self._thread = threading.Thread(target=self._run, name=f"output {target.muxer}", daemon=True)
        self._thread.start()

    def add(self, seconds: float, item: np.ndarray | SoundBlock) -> None:
        """Take a picture, float32 [H, W, 3], or a block of sound."""
        if isinstance(item, SoundBlock) and self._sound is None:
            return
        with self._changed:
            if len(self._waiting) >= MAX_WAITING and not isinstance(item, SoundBlock):
                self.dropped += 1
                return
            self._waiting.append((seconds, item))
            self._changed.notify_all()

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout if self._target.is_file else 1.0)

    def _run(self) -> None:
        lower_priority(OUTPUT_NICENESS)
        while True:
            try:
                self._write_all(_Writer(self._target, self._size, self._rate, self._sound))
                return
            except (av.FFmpegError, OSError, ValueError) as error:
                why = str(getattr(error, "strerror", "") or error)
                if self._target.is_file:
                    place = Path(self._target.place)
                    is_full = getattr(error, "errno", None) == errno.ENOSPC
                    self.error = disk_full_error(place) if is_full else UserError(f"{place}: {why}")
                    self._warn(str(self.error))
                    return
                if not self._is_missed:
                    self._warn(f"{self._target.place}: nobody reads ({why}); the dream goes on, and waits")
                self._is_missed = True
            if self._drop_while_waiting():
                return

    def _drop_while_waiting(self) -> bool:
        """Wait before the next try; whether all is over."""
        end = time.monotonic() + RETRY_SECONDS
        with self._changed:
            while not self._is_closing and (left := end - time.monotonic()) > 0:
                self.dropped += sum(isinstance(item, np.ndarray) for _, item in self._waiting)
                self._waiting.clear()
                self._changed.wait(left)
            return self._is_closing

    def _write_all(self, writer: _Writer) -> None:
        pictures = 0
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._is_closing)
                    if not self._waiting:
                        break
                    seconds, item = self._waiting.popleft()
                writer.write(seconds, item)
                pictures += isinstance(item, np.ndarray)
                if self._is_missed and pictures > READ_PICTURES:
                    self._is_missed = False
                    self._warn(f"{self._target.place}: somebody reads again")
            writer.finish()
        finally:
            writer.close()


class _Writer:
    """An open container; its clock begins with the first picture."""

    def __init__(
        self, target: Target, size: tuple[int, int], rate: float, sound: tuple[int, int] | None
    ) -> None:
        limits: Any = {} if target.is_file else {"timeout": (OPEN_SECONDS, OPEN_SECONDS)}
        if LISTENS.search(target.place):
            limits = {}  # Whoever comes may take their time.
        self._container = av.open(
            target.place, "w", format=target.muxer, container_options=target.options, **limits
        )
        self._origin: float | None = None
        self._last, self._sound_end = -1, 0
        width, height = size
        self._even = width - width % 2, height - height % 2
        options = {**ENCODER, "g": str(max(1, round(2 * rate)))} if target.codec == "libx264" else {}
        stream: Any = self._container.add_stream(
            target.codec, rate=Fraction(rate).limit_denominator(1001), options=options
        )
        context = stream.codec_context
        context.width, context.height = self._even
        color = ColorSpace(default_matrix(height), False)
        context.pix_fmt = "yuv420p"
        context.colorspace, context.color_range = color.matrix, 1
        context.time_base = stream.time_base = Fraction(1, TICKS)
        context.thread_count = 1
        self._encode, self._video = make_rgb_encoder(color, "yuv420p"), stream
        self._audio, self._layout = None, ""
        if sound is not None:
            self._layout = "mono" if sound[1] == 1 else "stereo"
            self._audio = self._container.add_stream("aac", rate=sound[0], layout=self._layout)

    def write(self, seconds: float, item: np.ndarray | SoundBlock) -> None:
        if self._origin is None:
            if isinstance(item, SoundBlock):
                return
            self._origin = seconds
        if isinstance(item, SoundBlock):
            self._write_sound(item, self._origin)
            return
        width, height = self._even
        frame = self._encode(np.ascontiguousarray(item[:height, :width]))
        stamp = max(round((seconds - self._origin) * TICKS), self._last + 1)
        frame.pts, frame.time_base, self._last = stamp, Fraction(1, TICKS), stamp
        self._container.mux(self._video.encode(frame))

    def _write_sound(self, block: SoundBlock, origin: float) -> None:
        if self._audio is None:
            return
        channels = 1 if self._layout == "mono" else 2
        samples = block.samples if len(block.samples) <= 2 else _mix_down(block.samples)
        samples = np.repeat(samples, channels, axis=0) if len(samples) == 1 else samples[:channels]
        start = round((block.seconds - origin) * block.rate)
        gap = start - self._sound_end
        if gap > MAX_GAP_SECONDS * block.rate:
            samples = np.pad(samples, ((0, 0), (gap, 0)))
        elif gap < 0:
            samples = samples[:, -gap:]
        if not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts = block.rate, self._sound_end
        frame.time_base = Fraction(1, block.rate)
        self._sound_end += samples.shape[1]
        self._container.mux(self._audio.encode(frame))

    def finish(self) -> None:
        if self._last >= 0:
            self._container.mux(self._video.encode(None))
            if self._audio is not None:
                self._container.mux(self._audio.encode(None))

    def close(self) -> None:
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


def _mix_down(samples: np.ndarray) -> np.ndarray:
    """Many channels as two: the others are added to both."""
    others = samples[2:].sum(axis=0) * np.float32(0.5)
    return np.clip(samples[:2] + others, -1, 1)
