"""Measure dreams whose working size is smaller than their film: sharpness, time, memory; a line of JSON each.

    python scripts/measure_sizes.py sharp FILM [--start 8 --end 10] [--sizes 240p 360p]
    python scripts/measure_sizes.py large PHOTO [--heights 1080 2160] [--size 480p]

sharp   dreams an excerpt at the film's own size and at smaller ones. `sharpness` is the high-pass RMS (sigma
        1.5 px of the film) of dream minus source, `share` that over the own size's; R as in
        measure_film.py, at that size; `seconds` a frame, from the first to the last; `saved` the seconds that
        the smaller size saves.
large   makes films of one shot of 124 frames, a slow pan over the enlarged photograph with fine grain that
        moves with it, and dreams each in a process of its own. `seconds` a frame are those behind the first
        24, `core_seconds` those of all processor cores together, which others' work does not lengthen;
        `memory` the most that the process had, MiB; `size` what was worked at; `timing` seconds a frame of
        each kind of work, which run beside each other.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from film_figures import measure_dreams, read_aligned
from measure_film import report_dream

from mmdream import Recipe, dream_video, plan_video
from mmdream.analysis.shots import scan_frames
from mmdream.core.events import EventSink
from mmdream.core.memory import peak_memory_mib
from mmdream.media import image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

RATE, SPEED = 25, 2.3
"""Frames a second; px of the film that the pan moves in one."""
FIRST_FRAMES, OTHER_FRAMES = 24, 100
GRAIN_SIGMA, GRAIN_DEVIATION = 0.8, 0.03
"""px and, of the range 0..1, how strong."""


def measure_sharpness(film: Path, span: tuple[float, float], sizes: list[str]) -> Iterator[dict[str, object]]:
    """Dream an excerpt at its own size and at others, and yield each one's figures."""
    source = probe(film)
    assert source.video is not None
    own = f"{min(source.video.width, source.video.height)}p"
    start, end = map(Fraction, map(str, span))
    firsts = [shot.first for shot in scan_frames(read_frames(source, start, end)).shots]
    whole: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in (own, *sizes):
            out = Path(folder) / f"{size}.mkv"
            report = dream_video(film, out, Recipe(size=size), start=start, end=end, keep_sound=True)
            films = read_aligned(read_frames(source, start, end), [read_frames(probe(out))], None)
            (found,) = measure_dreams(films, firsts, lambda rgb: 0.0, 1, 1.0, 10**6)
            figures = report_dream(found)
            row: dict[str, object] = {
                "size": size,
                "sharpness": figures["sharpness"]["detail"],  # type: ignore[index]
                "R": figures["R_1"],
                "strength": figures["strength"],
                "seconds": report.timing["wall"] / (report.frames or 1),
            }
            whole = whole or row
            row["share"] = row["sharpness"] / whole["sharpness"]  # type: ignore[operator]
            row["saved"] = whole["seconds"] - row["seconds"]  # type: ignore[operator]
            yield row


def make_large_film(photo: Path, path: Path, size: tuple[int, int]) -> None:
    """Write a pan over a photograph that is enlarged to a width and height, with grain."""
    count, (width, height) = FIRST_FRAMES + OTHER_FRAMES, size
    wide, high = width + round(SPEED * count) + 2, height + round(SPEED / 6 * count) + 2
    rgb = image.read_image(photo)
    factor = max(wide / rgb.shape[1], high / rgb.shape[0])
    canvas = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, 1, canvas.shape[:2]).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), GRAIN_SIGMA)
    canvas += (GRAIN_DEVIATION / grain.std() * grain)[..., None]
    levels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            move = np.array([[1, 0, SPEED * number], [0, 1, SPEED / 6 * number]], np.float32)
            view = cv2.warpAffine(levels, move, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def measure_large_film(film: Path, out: Path, size: str | None) -> dict[str, object]:
    """Dream a film of one shot, and tell its figures; for a process of its own."""
    times: list[tuple[float, float]] = []
    recipe, began = Recipe(size=size), time.perf_counter()
    listener = EventSink(frame=lambda *_: times.append((time.perf_counter(), time.process_time())))
    report = dream_video(film, out, recipe, listener=listener)
    whole, peak = time.perf_counter() - began, peak_memory_mib()
    plan = plan_video(film, out.with_suffix(".mkv"), recipe)
    return {
        "film": plan.size,
        "size": plan.working_size,
        "seconds": (times[-1][0] - times[FIRST_FRAMES - 1][0]) / (len(times) - FIRST_FRAMES),
        "core_seconds": (times[-1][1] - times[FIRST_FRAMES - 1][1]) / (len(times) - FIRST_FRAMES),
        "whole_seconds": whole,
        "memory": peak,
        "timing": {kind: round(took / len(times), 4) for kind, took in report.timing.items()},
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["sharp", "large"])
    parser.add_argument("source", type=Path, help="a film, or a photograph")
    parser.add_argument("--start", type=float, default=8.0)
    parser.add_argument("--end", type=float, default=10.0)
    parser.add_argument("--sizes", nargs="+", default=["240p", "360p"])
    parser.add_argument("--heights", type=int, nargs="+", default=[1080, 2160])
    parser.add_argument("--size", help="working size of large films")
    args = parser.parse_args()
    if args.what == "sharp":
        for row in measure_sharpness(args.source, (args.start, args.end), args.sizes):
            print(json.dumps(row), flush=True)
        return
    for height in args.heights:
        with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as alone:
            film = Path(folder) / "film.mp4"
            make_large_film(args.source, film, (height * 16 // 9, height))
            out = Path(folder) / "dream.mp4"
            print(json.dumps(alone.apply(measure_large_film, (film, out, args.size))), flush=True)


if __name__ == "__main__":
    main()
