"""What is played: a film at its pace, a camera, a stream or a microphone, as frames and sound with a time."""

from __future__ import annotations

import heapq
import re
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mmdream.core.errors import UserError
from mmdream.core.threads import prefetch
from mmdream.media.color import make_rgb_decoder, read_color_space
from mmdream.media.probe import (
    DEMUX_END_ERROR,
    MAX_PIXELS,
    MAX_SIDE,
    OPEN_OPTIONS,
    MediaFile,
    Orientation,
    probe,
)

PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtmp": "rtmp,tcp",
    "srt": "srt",
    "udp": "udp",
    "tcp": "tcp",
    "http": "http,tcp",
    "https": "https,http,tls,tcp",
}
"""What may be opened of each kind of address: no stream leads to a file of this machine."""
CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
CAMERA = re.compile(r"camera(?::(\d+))?|/dev/video\d+")
OPEN_SECONDS, STALL_SECONDS = 10.0, 30.0
"""In which a stream must be there, and that it may stall at most."""
READ_AHEAD_SECONDS = 0.5
"""Of a film: its sound and its picture lie in the file so far apart, and mostly nearer."""
READ_AHEAD_ITEMS = 24
HOLD_SECONDS = 0.5
"""A film that is read so much too late is played later from there on: its delay would only grow."""
JUMP_SECONDS = 1.0
"""A stream whose clock leaves the wall's by more is placed anew."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame as it comes in."""

    frame: av.VideoFrame
    seconds: float
    """On the session's clock: of a film those of the file, else since the first frame."""
    arrived: float
    """As `time.monotonic` gives it: when it was there, or was to be shown by a film's pace."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of sound as it comes in."""

    samples: np.ndarray
    """float32 [channel, sample]."""
    rate: int
    seconds: float
    """Of its first sample, see `Picture`."""
    arrived: float


Item = Picture | Sound


class LiveSource:
    """An opened source; iterating it gives pictures and sounds when they are due, until it ends.

    `size` is width and height, px, of the first frame; later ones of another size are fitted into it.
    """

    def __init__(self, container: Any, name: str, film: MediaFile | None, with_sound: bool) -> None:
        self.name, self.is_file, self._container = name, film is not None, container
        self._start = Fraction(0) if film is None else film.start
        video = next(iter(container.streams.video), None)
        if film is not None and film.video is not None:
            video = container.streams[film.video.index]
        if video is None:
            raise UserError(f"{name}: has no picture to dream")
        video.thread_type = "AUTO" if self.is_file else "SLICE"  # Threads by frames hold some back.
        self._video = video
        tracks = [] if film is None else [container.streams[track.index] for track in film.audio_tracks]
        self._audio = next(iter(tracks or container.streams.audio), None) if with_sound else None
        self.rate = float(video.average_rate or video.guessed_rate or 25)
        context = video.codec_context
        if max(context.width, context.height) > MAX_SIDE or context.width * context.height >= MAX_PIXELS:
            raise UserError(f"{name}: its picture of {context.width}x{context.height} is too large")
        self.orientation = Orientation() if film is None or film.video is None else film.video.orientation
        self._stopped = threading.Event()
        self._decoded = self._decode()
        self._began: float | None = None
        """Wall time of a film's second 0."""
        self.held_up = 0.0
        """Seconds by which that was moved in all."""
        self.error: str | None = None
        """What ended it, if it was not its end."""

    @property
    def has_sound(self) -> bool:
        """Whether sounds will come."""
        return self._audio is not None

    @property
    def sound_rate(self) -> int:
        """Samples a second of the sound; 0: there is none."""
        return 0 if self._audio is None else int(self._audio.rate)

    @contextmanager
    def passing_over(self) -> Iterator[None]:
        """Let what a stream brings meanwhile go by: it would be old when it is played. A film waits."""
        is_over = threading.Event()

        def pass_over() -> None:
            while not is_over.is_set() and next(self._decoded, None) is not None:
                pass

        thread = threading.Thread(target=pass_over, daemon=True)
        if not self.is_file:
            thread.start()
        try:
            yield
        finally:
            is_over.set()
            if not self.is_file:
                thread.join()

    def stop(self) -> None:
        """End the iteration soon."""
        self._stopped.set()

    def __iter__(self) -> Iterator[Item]:
        items = self._play_file() if self.is_file else self._play_stream()
        try:
            for item in items:
                if self._stopped.is_set():
                    return
                yield item
        finally:
            items.close()
            with suppress(av.FFmpegError, OSError):
                self._container.close()

    def _decode(self) -> Generator[tuple[float, Any], None, None]:
        """Frames of both kinds with their own seconds; a broken packet is passed over."""
        streams = [each for each in (self._video, self._audio) if each is not None]
        packets = self._container.demux(*streams)
        while not self._stopped.is_set():
            try:
                packet = next(packets)
            except (StopIteration, DEMUX_END_ERROR, av.EOFError):
                return
            except (av.FFmpegError, OSError) as error:
                self.error = str(getattr(error, "strerror", "") or error)
                return
            with suppress(av.FFmpegError):
                for frame in packet.decode():
                    if frame.pts is not None and frame.time_base is not None:
                        yield float(frame.pts * Fraction(frame.time_base) - self._start), frame

    def _play_file(self) -> Generator[Item, None, None]:
        """A film at its pace: each item when it is due, whatever the order in the file."""
        heap, number, newest = list[Any](), 0, 0.0
        with closing(prefetch(self._decoded, READ_AHEAD_ITEMS, in_front=True)) as decoded:
            for seconds, frame in decoded:
                heapq.heappush(heap, (seconds, number, frame))
                number, newest = number + 1, max(newest, seconds)
                while heap and (newest - heap[0][0] > READ_AHEAD_SECONDS or self._stopped.is_set()):
                    yield self._wait(*heapq.heappop(heap))
            while heap and not self._stopped.is_set():
                yield self._wait(*heapq.heappop(heap))

    def _wait(self, seconds: float, _number: int, frame: Any) -> Item:
        """An item when it is due; one that is far too late moves what is due behind it."""
        now = time.monotonic()
        if self._began is None:
            self._began = now - seconds
        late = now - self._began - seconds
        if late > HOLD_SECONDS:
            self._began, self.held_up = self._began + late, self.held_up + late
        due = self._began + seconds
        self._stopped.wait(max(0.0, due - now))
        return _make_item(frame, seconds, due)

    def _play_stream(self) -> Generator[Item, None, None]:
        """What comes, as it comes; its own clock places it, and the wall's where that jumps."""
        began, offset = None, 0.0
        for stamp, frame in self._decoded:
            now = time.monotonic()
            if began is None:
                began, offset = now, -stamp
            if abs(stamp + offset - (now - began)) > JUMP_SECONDS:
                offset = now - began - stamp
            yield _make_item(frame, stamp + offset, now)


def _make_item(frame: Any, seconds: float, arrived: float) -> Item:
    if isinstance(frame, av.VideoFrame):
        return Picture(frame, seconds, arrived)
    return Sound(to_float(frame), frame.sample_rate, seconds, arrived)


def to_float(frame: av.AudioFrame) -> np.ndarray:
    """A decoded stretch of sound as float32 [channel, sample], -1..1."""
    # Packed, see `media.audio_files`: of more than eight planes PyAV 18.1 crashes.
    resampler = av.AudioResampler("flt", frame.layout, frame.sample_rate)
    parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
    packed = np.concatenate([*parts, np.zeros(0, np.float32)])
    return np.ascontiguousarray(packed.reshape(-1, frame.layout.nb_channels).T)


def open_source(name: str, with_sound: bool) -> LiveSource:
    """Open a film, ``camera``, ``camera:1``, a device of one, or an address; `UserError`: it is not there."""
    if CAMERA.fullmatch(name):
        return LiveSource(_open_camera(name), name, None, False)
    scheme, colon, _ = name.partition("://")
    if colon:
        return LiveSource(_open_stream(name, scheme.lower()), name, None, with_sound)
    film = probe(Path(name))
    if film.video is None:
        raise UserError(f"{name}: has no picture; dream a sound with `mmdream audio`")
    container = av.open(str(film.path.resolve()), options=OPEN_OPTIONS, metadata_errors="replace")
    return LiveSource(container, name, film, with_sound)


def _open_camera(name: str) -> Any:
    kind = CAMERA_FORMATS.get(sys.platform)
    number = (CAMERA.fullmatch(name) or [None, None])[1] or "0"
    if kind is None:
        raise UserError(f"{name}: no cameras are known on {sys.platform}; name a film or an address")
    device = {"v4l2": f"/dev/video{number}", "avfoundation": f"{number}:none", "dshow": f"video={number}"}
    place = name if name.startswith("/dev/") else device[kind]
    if kind == "v4l2" and not Path(place).exists():
        raise UserError(f"{place}: there is no such camera; name another, a film, or an address")
    return _open(place, name, kind, {})


def _open_stream(name: str, scheme: str) -> Any:
    if scheme not in PROTOCOLS:
        raise UserError(f"{name}: mmdream plays {', '.join(PROTOCOLS)} addresses, and files; not {scheme}")
    options = {"protocol_whitelist": PROTOCOLS[scheme], "fflags": "nobuffer"}
    if scheme == "rtsp":
        options["rtsp_transport"] = "tcp"
    return _open(name, name, None, options)


def _open(place: str, name: str, kind: str | None, options: dict[str, str]) -> Any:
    try:
        return av.open(place, format=kind, options=options, timeout=(OPEN_SECONDS, STALL_SECONDS))
    except (av.FFmpegError, OSError, ValueError) as error:
        why = str(getattr(error, "strerror", "") or error)
        busy = "; another program uses it" if "busy" in why.lower() else ""
        raise UserError(f"{name}: cannot be opened ({why}{busy}); see that it is there and free") from error


class FrameFitter:
    """Decoded frames as RGB of one size: float32 [H, W, 3], 0..1; others are fitted in between black bars."""

    def __init__(self, orientation: Orientation) -> None:
        self._orientation = orientation
        self._decode: Any = None
        self._coded: tuple[int, int, str] | None = None
        self.size: tuple[int, int] | None = None
        """Width, height of the first frame, px."""
        self.has_resized = False
        """Whether another size has come."""

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame as shown."""
        coded = frame.width, frame.height, frame.format.name
        if max(coded[:2]) > MAX_SIDE or coded[0] * coded[1] >= MAX_PIXELS:
            raise UserError(f"a frame of {coded[0]}x{coded[1]} came, which is too large")
        if coded != self._coded:
            self.has_resized |= self._coded is not None and coded[:2] != self._coded[:2]
            bits = max(component.bits for component in frame.format.components)
            alpha = any(component.is_alpha for component in frame.format.components)
            self._decode = make_rgb_decoder(read_color_space(frame), *coded[:2], bits, alpha)
            self._coded = coded
        rgb = np.asarray(self._orientation(self._decode(frame)), np.float32)
        if self.size is None:
            self.size = rgb.shape[1], rgb.shape[0]
        return rgb if rgb.shape[1::-1] == self.size else _fit(rgb, self.size)


def _fit(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image as large as possible in the middle of a black one."""
    width, height = size
    factor = min(width / rgb.shape[1], height / rgb.shape[0])
    inner = max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor))
    whole = np.zeros((height, width, 3), np.float32)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    whole[top : top + inner[1], left : left + inner[0]] = cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA)
    return whole
