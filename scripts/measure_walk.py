"""Measure how a walk's picture follows its song: correlations beside random shifts, jumps, the loop, a strip.

    python scripts/measure_walk.py FILM.walk.mov FILM.mp4 [--shifts 500] [--strip strip.png]

Of the walk and of its dream, one beside the other:

change      mean |frame - frame before|, of the range 0..1.
follows     correlation over time of that change with the song's onset and loudness, as a drive takes them,
            and with their mean; `shifted` are the mean and the 95th percentile of the same with the song
            shifted round by random times of a second or more, `beats` the share of those that it exceeds.
largest     the greatest change over the median, and its second; `shots` how many takes the scan finds.
loop        change from the last frame to the first, over the median.

Flicker is measured by ``measure_film.py FILM.walk.mov FILM.mp4``. The strip has twelve moments, walk above
dream.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from mmdream.analysis.features import FeatureCurve
from mmdream.analysis.modulate import measure_sound_features
from mmdream.analysis.shots import scan_frames
from mmdream.media.image import write_image
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames

SHOWN, STRIP_WIDTH = 12, 240
LEAST_SHIFT = 1.0
"""Seconds."""


def main() -> None:
    """Measure, draw, and print one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("walk", type=Path)
    options.add_argument("dream", type=Path)
    options.add_argument("--shifts", type=int, default=500)
    options.add_argument("--strip", type=Path)
    chosen = options.parse_args()
    film = probe(chosen.walk)
    features = measure_sound_features(film, film.audio_tracks[0], ("onset", "loudness"))
    found, strips = {}, []
    for name, path in (("walk", chosen.walk), ("dream", chosen.dream)):
        times, change, end, shown = read_changes(path)
        found[name] = {
            "change": round(float(change.mean()), 5),
            "follows": measure_following(times, change, features, chosen.shifts),
            "largest": [
                round(float(change.max() / np.median(change)), 2),
                round(float(times[change.argmax()]), 2),
            ],
            "shots": len(scan_frames(read_frames(probe(path))).shots),
            "loop": round(end / float(np.median(change)), 2),
        }
        strips.append(np.concatenate(shown, 1))
    if chosen.strip is not None:
        write_image(chosen.strip, np.concatenate(strips))
    print(json.dumps(found, indent=1))


def read_changes(path: Path) -> tuple[np.ndarray, np.ndarray, float, list[np.ndarray]]:
    """Times between frames and changes there, [n - 1], that from the last frame to the first, some frames."""
    film = probe(path)
    assert film.video is not None
    count = sum(1 for _ in read_frames(film))
    moments = set(np.linspace(0, count - 1, SHOWN).round().astype(int).tolist())
    times, change, shown = [], [], []
    first = previous = None
    for number, frame in enumerate(read_frames(film)):
        if number in moments:
            height = round(STRIP_WIDTH * frame.rgb.shape[0] / frame.rgb.shape[1])
            shown.append(cv2.resize(frame.rgb, (STRIP_WIDTH, height), interpolation=cv2.INTER_AREA))
        if previous is None:
            first = frame.rgb
        else:
            times.append((float(frame.seconds) + float(previous.seconds)) / 2)
            change.append(float(np.abs(frame.rgb - previous.rgb).mean()))
        previous = frame
    assert previous is not None
    assert first is not None
    return np.array(times), np.array(change), float(np.abs(previous.rgb - first).mean()), shown


def measure_following(
    times: np.ndarray, change: np.ndarray, features: dict[str, FeatureCurve], shifts: int
) -> dict[str, object]:
    """Correlations of a change with features and their mean, beside those with the song shifted round."""
    curves = {name: curve.at(times) for name, curve in features.items()}
    curves["both"] = np.mean([*curves.values()], axis=0)
    step = float(np.median(np.diff(times)))
    least = round(LEAST_SHIFT / step)
    rng = np.random.default_rng(0)
    moved = rng.integers(least, len(times) - least, shifts)
    told: dict[str, object] = {}
    for name, curve in curves.items():
        own = correlate(change, curve)
        others = np.array([correlate(change, np.roll(curve, shift)) for shift in moved])
        told[name] = {
            "correlation": round(own, 3),
            "shifted": [round(float(others.mean()), 3), round(float(np.percentile(others, 95)), 3)],
            "beats": round(float((own > others).mean()), 3),
        }
    return told


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where one of them never changes."""
    if one.std() < 1e-12 or other.std() < 1e-12:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


if __name__ == "__main__":
    main()
