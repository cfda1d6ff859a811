"""Show that neither memory nor the time of a frame grows with the length of a film.

    python scripts/check_memory.py CLIP [--seconds 10 60] [--size 640x360] [-- --octaves 1 --steps 1]
    python scripts/check_memory.py CLIP --sound --seconds 60 1800

Films of these lengths are made of CLIP, over and over, at 25 frames a second with its sound, the shorter
being the beginning of the longer. Each is dreamed in a process of its own; options after ``--`` go to
`mmdream video`. With --sound they are sounds of 44.1 kHz in stereo and go to `mmdream audio`; milliseconds
are then told of a second, not of a frame. Prints peak resident memory of each (MiB) with the ratio of
longest to shortest, and milliseconds a frame, from the first to the last, with the ratio of slowest to
fastest.
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
import soundfile

ROOT = Path(__file__).resolve().parents[1]
RATE, SOUND_RATE = 25, 44_100


def loop_frames(clip: Path, medium: str) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Frames of a clip's picture ("video") or sound ("audio"), over and over."""
    while True:
        with av.open(str(clip)) as film:
            yield from film.decode(**{medium: 0})


def make_film(clip: Path, path: Path, seconds: int, size: tuple[int, int]) -> None:
    """Write a film of a length and a size (width, height) made of a clip."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = film.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for number, frame in enumerate(itertools.islice(loop_frames(clip, "video"), seconds * RATE)):
            shown = frame.reformat(*size, format="yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, RATE)
            film.mux(video.encode(shown))
        film.mux(video.encode(None))
        to_blocks = av.AudioResampler("fltp", "stereo", SOUND_RATE, frame_size=1024)
        blocks = (
            block for frame in loop_frames(clip, "audio") for block in to_blocks.resample(_clear_pts(frame))
        )
        for number, block in enumerate(itertools.islice(blocks, seconds * SOUND_RATE // 1024)):
            block.pts, block.time_base = number * 1024, Fraction(1, SOUND_RATE)
            film.mux(audio.encode(block))
        film.mux(audio.encode(None))


def make_sound(clip: Path, path: Path, seconds: int) -> None:
    """Write a sound of a length made of a clip's."""
    left, to_blocks = seconds * SOUND_RATE, av.AudioResampler("fltp", "stereo", SOUND_RATE)
    with soundfile.SoundFile(path, "w", SOUND_RATE, 2, "FLOAT", format="RF64") as file:
        for frame in loop_frames(clip, "audio"):
            for block in to_blocks.resample(_clear_pts(frame)):
                samples = block.to_ndarray().T[:left]
                file.write(samples)
                left -= len(samples)
            if not left:
                return


def _clear_pts(frame: av.AudioFrame) -> av.AudioFrame:
    frame.pts = None
    return frame


def measure_dream(film: Path, out: Path, options: list[str]) -> tuple[float, float]:
    """Dream a film or a sound in a fresh process; its peak resident memory in MiB, and milliseconds a frame.

    Raises:
        RuntimeError: the dream failed.
    """
    medium = "audio" if film.suffix == ".wav" else "video"
    command = [sys.executable, "-m", "mmdream", medium, str(film), "-o", str(out), "--json", *options]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+") as stdout:
        child = subprocess.Popen(command, stdout=stdout, env={**os.environ, "PYTHONPATH": path})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"mmdream ended with status {child.returncode}")
        stdout.seek(0)
        report = json.load(stdout)
    # Linux counts in KiB, macOS in bytes.
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if medium == "audio":
        return peak, 1000 * report["wall_seconds"] / report["seconds"]
    return peak, 1000 * report["timing"]["wall"] / report["frames"]


def main() -> None:
    """Print the peaks and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--suffix", help="of the dreams; default: .mkv, of sounds .wav")
    parser.add_argument("--sound", action="store_true", help="dream sounds")
    parser.add_argument("options", nargs="*", help="after --: of `mmdream video` or `audio`")
    args = parser.parse_intermixed_args()
    width, height = (int(side) for side in args.size.split("x"))
    peaks, times = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in sorted(args.seconds):
            film = Path(folder) / f"{seconds}{'.wav' if args.sound else '.mp4'}"
            if args.sound:
                make_sound(args.clip, film, seconds)
            else:
                make_film(args.clip, film, seconds, (width, height))
            out = film.with_suffix(f".dream{args.suffix or ('.wav' if args.sound else '.mkv')}")
            peaks[seconds], times[seconds] = measure_dream(film, out, args.options)
            out.unlink()
            film.unlink()
    figures = {
        "options": args.options,
        "size": args.size,
        "peak_mib": {seconds: round(peak, 1) for seconds, peak in peaks.items()},
        "peak_ratio": round(peaks[max(peaks)] / peaks[min(peaks)], 4),
        "ms_a_frame": {seconds: round(ms, 2) for seconds, ms in times.items()},
        "ms_ratio": round(max(times.values()) / min(times.values()), 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
