"""Show that memory does not grow with the length of a film.

    python scripts/check_memory.py CLIP [--seconds 10 60] [-- --octaves 1 --steps 1]

Films of these lengths are made of CLIP, over and over, at 640x360 and 25 frames a second with its
sound, the shorter being the beginning of the longer. Each is dreamed to .mkv in a process of its
own; options after ``--`` go to `mmdream video`. Prints peak resident memory of each (MiB) and the
ratio of longest to shortest.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[1]
SIZE, RATE, SOUND_RATE = (640, 360), 25, 44_100


def again(clip: Path, medium: str) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Frames of a clip's picture ("video") or sound ("audio"), over and over."""
    while True:
        with av.open(str(clip)) as film:
            yield from film.decode(**{medium: 0})


def make(clip: Path, path: Path, seconds: int) -> None:
    """Write a film of a length made of a clip."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = film.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for number, frame in enumerate(itertools.islice(again(clip, "video"), seconds * RATE)):
            shown = frame.reformat(*SIZE, format="yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, RATE)
            film.mux(video.encode(shown))
        film.mux(video.encode(None))
        to_blocks = av.AudioResampler("fltp", "stereo", SOUND_RATE, frame_size=1024)
        blocks = (block for frame in again(clip, "audio") for block in to_blocks.resample(_unstamped(frame)))
        for number, block in enumerate(itertools.islice(blocks, seconds * SOUND_RATE // 1024)):
            block.pts, block.time_base = number * 1024, Fraction(1, SOUND_RATE)
            film.mux(audio.encode(block))
        film.mux(audio.encode(None))


def _unstamped(frame: av.AudioFrame) -> av.AudioFrame:
    frame.pts = None
    return frame


def peak(film: Path, out: Path, options: list[str]) -> float:
    """Dream a film in a fresh process; its peak resident memory in MiB.

    Raises:
        RuntimeError: the dream failed.
    """
    command = [
        sys.executable,
        "-m",
        "mmdream",
        "video",
        str(film),
        "-o",
        str(out),
        "--json",
        *options,
    ]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"mmdream ended with status {child.returncode}")
    # Linux counts in KiB, macOS in bytes.
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Print the peaks and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60])
    parser.add_argument("options", nargs="*", help="after --: options of `mmdream video`")
    args = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in sorted(args.seconds):
            film = Path(folder) / f"{seconds}.mp4"
            make(args.clip, film, seconds)
            peaks[seconds] = peak(film, film.with_suffix(".dream.mkv"), args.options)
    ratio = peaks[max(peaks)] / peaks[min(peaks)]
    print(json.dumps({"options": args.options, "peak_mib": peaks, "ratio": round(ratio, 4)}))


if __name__ == "__main__":
    main()
