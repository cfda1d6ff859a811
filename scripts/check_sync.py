"""Show that a dream film keeps its source's time: every frame, every flash, every burst of sound.

    python scripts/check_sync.py [--seconds 60] [--only RATE ...] [--suffixes .mp4 .mkv]

Films with a white frame and an 80 ms burst of white noise each second, at 30000/1001, 24000/1001,
25 and a variable rate, are dreamed at the default settings. Flashes are looked for in the dreamed
pictures (the brightest frame of each second), bursts by cross-correlation of dreamed and source
sound within 50 ms, both as a player hears them: after the edit list. One JSON line a film. Time
stamps must be equal in .mp4 and within Matroska's 1 ms clock in .mkv, bursts within 1 ms, without
a trend.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import scipy.signal

from mmdream import dream_video

RATES = ("30000/1001", "24000/1001", "25", "variable")
SOUND_RATE = 48_000
BURST = 0.08
WITHIN = 0.05
"""Seconds: length of a burst, and largest lag looked for."""
WAVES = ((9, 14, 25), (-13, 7, 31), (21, -11, 40))
"""Pixels a radian across and down, frames a radian, for red, green and blue."""


def frame_stamps(rate: str, seconds: int) -> tuple[Fraction, list[int]]:
    """Time base, and the stamp of each frame in ticks of it."""
    if rate != "variable":
        per_second = Fraction(rate)
        return Fraction(1, per_second.numerator), [
            k * per_second.denominator for k in range(int(per_second * seconds))
        ]
    # 15 to 60 frames a second, wandering.
    gaps = np.random.default_rng(1).integers(1_500, 6_000, 60 * seconds)
    stamps = np.concatenate(([0], np.cumsum(gaps)))
    return Fraction(1, 90_000), stamps[stamps < 90_000 * seconds].tolist()


def flash_frames(time_base: Fraction, stamps: list[int]) -> list[int]:
    """Number of the first frame at or after the middle of each second."""
    seconds = np.array(stamps) * float(time_base)
    places = np.searchsorted(seconds, np.arange(int(seconds[-1]) + 1) + 0.5)
    return [int(place) for place in places if place < len(stamps)]


def draw_frames(stamps: list[int], flashed: list[int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Soft drifting shapes, white at the flashes; uint8 [H, W, 3]."""
    width, height = size
    white, (y, x) = set(flashed), np.mgrid[:height, :width]
    for number in range(len(stamps)):
        waves = [np.sin(x / a + y / b + number / c) for a, b, c in WAVES]
        grey = 0.35 + 0.15 * np.stack(waves, axis=-1)
        yield np.rint((np.ones_like(grey) if number in white else grey) * 255).astype(np.uint8)


def synthesize_sound(seconds: int, bursts: list[float]) -> np.ndarray:
    """Two soft tones with a little noise, and loud noise at the bursts; float32 [1, sample]."""
    rng = np.random.default_rng(2)
    t = np.arange(SOUND_RATE * seconds) / SOUND_RATE
    samples = 0.03 * np.sin(2 * np.pi * 220 * t) + 0.02 * np.sin(2 * np.pi * 660 * t)
    samples += 0.002 * rng.standard_normal(len(t))
    for at in bursts:
        place = slice(round(at * SOUND_RATE), round((at + BURST) * SOUND_RATE))
        samples[place] += 0.3 * rng.uniform(-1, 1, len(samples[place]))
    return samples.astype(np.float32)[None]


def make_film(path: Path, rate: str, seconds: int, size: tuple[int, int]) -> tuple[list[Fraction], list[int]]:
    """Write a film; the time of each frame, and the numbers of those that flash."""
    time_base, stamps = frame_stamps(rate, seconds)
    flashed = flash_frames(time_base, stamps)
    times = [stamp * time_base for stamp in stamps]
    with av.open(str(path), "w", container_options={"movie_timescale": "90000"}) as film:
        video = film.add_stream("libx264", rate=30, options={"crf": "12", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = video.time_base = time_base
        audio = film.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for stamp, rgb in zip(stamps, draw_frames(stamps, flashed, size), strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = stamp, time_base
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        samples = synthesize_sound(seconds, [float(times[number]) for number in flashed])
        for at in range(0, samples.shape[1], 1024):
            block = av.AudioFrame.from_ndarray(samples[:, at : at + 1024], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
            film.mux(audio.encode(block))
        film.mux(audio.encode(None))
    return times, flashed


def decode_light(path: Path) -> tuple[list[Fraction], np.ndarray]:
    """Time and mean light (0..255) of each frame, as any player decodes them."""
    times, light = [], []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            times.append(frame.pts * Fraction(frame.time_base))
            light.append(frame.to_ndarray(format="gray").mean())
    return times, np.array(light)


def decode_sound(path: Path) -> np.ndarray:
    """First channel on the film's clock, float64 [sample], laid by the first decoded stamp."""
    with av.open(str(path)) as film:
        frames = list(film.decode(audio=0))
    parts = [frame.to_ndarray()[0] for frame in frames]
    first = round(frames[0].pts * Fraction(frames[0].time_base) * SOUND_RATE)
    samples = np.concatenate(parts).astype(np.float64)
    return np.pad(samples, (first, 0)) if first >= 0 else samples[-first:]


def measure_lags(source: np.ndarray, dream: np.ndarray, bursts: list[float]) -> np.ndarray:
    """Lag of the dream at each burst in ms, to one sample; bursts too near an end are left out."""
    around = round(WITHIN * SOUND_RATE)
    found = []
    for at in bursts:
        low, high = round(at * SOUND_RATE) - around, round((at + BURST) * SOUND_RATE) + around
        if low - around < 0 or high + around > min(len(source), len(dream)):
            continue
        likeness = scipy.signal.correlate(dream[low - around : high + around], source[low:high], "valid")
        found.append((int(likeness.argmax()) - around) / SOUND_RATE * 1000)
    return np.array(found)


def brightest_frames(times: list[Fraction], light: np.ndarray) -> list[int]:
    """Number of the brightest frame of each second."""
    second = np.array([int(at) for at in times])
    return [int(np.flatnonzero(second == k)[light[second == k].argmax()]) for k in range(second[-1] + 1)]


def check_rate(
    rate: str, seconds: int, suffixes: list[str], size: tuple[int, int]
) -> Iterator[dict[str, object]]:
    """Make the film of one rate, dream it into each container, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        made, flashed = make_film(source, rate, seconds, size)
        times, light = decode_light(source)
        if times != made or brightest_frames(times, light) != flashed:
            raise RuntimeError("the film to be dreamed is not what was meant to be made")
        samples, bursts = decode_sound(source), [float(made[number]) for number in flashed]
        for suffix in suffixes:
            began, out = time.perf_counter(), source.with_name(f"dream{suffix}")
            report = dream_video(source, out)
            got, dreamed = decode_light(out)
            same = len(got) == len(times)
            apart = [abs(a - b) for a, b in zip(got, times, strict=same)]
            found = brightest_frames(got, dreamed)
            off = [abs(got[a] - times[b]) for a, b in zip(found, flashed, strict=True)]
            late = measure_lags(samples, decode_sound(out), bursts)
            yield {
                "rate": rate,
                "suffix": suffix,
                "frames": [len(times), len(got)],
                "all_stamps_equal": same and not any(apart),
                "largest_stamp_error_ms": float(max(apart)) * 1000,
                "flashes": len(flashed),
                "flashes_on_their_frames": found == flashed,
                "flash_stamps_equal": not any(off),
                "largest_flash_error_ms": float(max(off)) * 1000,
                "bursts": len(late),
                "largest_lag_ms": float(np.abs(late).max()),
                "lag_trend_ms_per_minute": float(np.polyfit(np.arange(len(late)) / 60, late, 1)[0]),
                "reported_drift_ms": report.drift_ms,
                "wall_seconds": round(time.perf_counter() - began, 1),
            }


def main() -> None:
    """Print one line of figures for each film."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=RATES, default=RATES, metavar="RATE")
    parser.add_argument("--suffixes", nargs="+", default=[".mp4", ".mkv"])
    parser.add_argument("--size", default="128x96", metavar="WxH")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    for rate in args.only:
        for figures in check_rate(rate, args.seconds, args.suffixes, (width, height)):
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
