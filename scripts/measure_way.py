"""The way of one frame, and of one chunk of sound, through the files of the package.

    python scripts/measure_way.py

Runs with any version of mmdream: that of the Python it is started with.

A profiler of Python's own notes, in every thread, each call into a function of the package and each return
from one, generators' resumptions included. In a thread one file is the current one: that of the innermost
function of the package; calls into libraries do not change it. A file is *entered* when it becomes the
current one, by a call or by a return into it, and entered *again* if the same frame (or chunk) had entered it
in this thread before.

What belongs to one frame is a difference: a film of one shot is dreamed to frame 45 and to frame 30, with the
default settings and everything traced and loaded beforehand; the entries of one less those of the other, over
15, are those of a frame within a shot. So of a chunk: the sounds of two films of five chunks and of three,
with three frames each that are kept. Figures are means, and may have fractions: every third frame climbs two
octaves, and not every frame is scored.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import imageio_ffmpeg

import mmdream

HOME = str(Path(mmdream.__file__).parent)
RATE = 24
FRAMES = 30, 45
CHUNK_SECONDS = 640 * 512 / 44100
CHUNKS = 3, 5
MIN_ENTRIES = 0.02
"""Entries a frame, of a thread's file, from which on it counts as entered."""

Entries = Counter[tuple[str, str]]
"""(thread by the function that it began with, file) -> how often it was entered."""


class Tracer:
    """Counts how often each thread enters each file."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entries: Entries = Counter()
        self._local = threading.local()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Take a call or a return, as `sys.setprofile` tells them."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(HOME):
            return
        here = self._local.__dict__
        stack: list[str] = here.setdefault("stack", [])
        if event == "call":
            here.setdefault("root", code.co_qualname)
            stack.append(code.co_filename)
        elif stack:
            stack.pop()
        if stack and stack[-1] != here.get("current"):
            here["current"] = stack[-1]
            self.entries[here["root"], stack[-1]] += 1


def count_entries(film: Path, **options: Any) -> Entries:
    """Dream a film, and count."""
    tracer = Tracer()
    with tempfile.TemporaryDirectory() as folder:
        threading.setprofile(tracer)
        sys.setprofile(tracer)
        try:
            mmdream.dream_video(film, Path(folder) / "out.mp4", **options)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]  # its stub knows no None
    return tracer.entries


def print_entries(what: str, less: Entries, more: Entries, number: int) -> None:
    """Print the way of one."""
    mean = {place: (more[place] - less[place]) / number for place in more}
    mean = {place: count for place, count in mean.items() if count >= MIN_ENTRIES}
    files = Counter[str]()
    for (_, file), count in mean.items():
        files[file] += count
    again = sum(max(count - 1, 0) for count in mean.values())
    print(f"{what}: {len(files)} files entered, {sum(files.values()):.0f} times; {again:.0f} of them again")
    for file, count in files.most_common():
        print(f"    {count:7.1f}  {Path(file).relative_to(HOME)}")


def make_film(out: Path, seconds: float, frames: int, size: str, sound: bool) -> Path:
    """A moving test picture in one shot; with a sound that comes and goes."""
    source = ["-f", "lavfi", "-i", f"mandelbrot=size={size}:rate={frames / seconds}"]
    if sound:
        source += ["-f", "lavfi", "-i", r"aevalsrc=0.3*sin(2*PI*330*t)*gt(mod(t\,0.7)\,0.35):s=44100"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    subprocess.run([*ffmpeg, *source, "-t", str(seconds), "-pix_fmt", "yuv420p", str(out)], check=True)
    return out


def main() -> None:
    """Dream, and print."""
    with tempfile.TemporaryDirectory() as folder:
        film = make_film(Path(folder) / "picture.mkv", 3, 3 * RATE, "320x180", sound=False)
        shorter, longer = ((number - 0.5) / RATE for number in FRAMES)
        count_entries(film, end=shorter)
        less, more = count_entries(film, end=shorter), count_entries(film, end=longer)
        print_entries("frame", less, more, FRAMES[1] - FRAMES[0])
        films = [
            make_film(
                Path(folder) / f"sound{number}.mkv", (number - 0.5) * CHUNK_SECONDS, 3, "64x48", sound=True
            )
            for number in CHUNKS
        ]
        count_entries(films[0], keep_picture=True)
        less, more = (count_entries(film, keep_picture=True) for film in films)
        print_entries("chunk", less, more, CHUNKS[1] - CHUNKS[0])


if __name__ == "__main__":
    main()
