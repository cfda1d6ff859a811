"""Measure the recording of a live session beside the film's dream at full quality; JSON on stdout.

    python scripts/measure_live.py SOURCE LIVE BEGAN OFFLINE FOLDER

LIVE was recorded by `mmdream live SOURCE -o LIVE --json`, which told BEGAN; OFFLINE is what `mmdream video
SOURCE` made. The frames that were played are put into FOLDER without loss (source.mkv, live.mkv, offline.mkv,
frame by frame the same moments), for `measure_film.py source.mkv live.mkv --against offline.mkv`. Measured:

picture_lag  frames by which the source has to be shifted for the live frames to be likest to it
sound_lag    seconds by which the recorded sound lies behind its picture, by the envelopes' correlation
tenths       strength and objective of live over offline in each tenth, `gain` of what both add to the source
after_cuts   the same for the two seconds behind each cut
sound        contrast energy over the source's, of live and offline, and the share of what offline adds
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from mmdream.analysis.shots import scan_frames
from mmdream.audio.dream import measure_contrast_energies
from mmdream.audio.source import ArraySource
from mmdream.core.events import EventSink
from mmdream.image.gradient import evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.media.video_writer import VideoWriter
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.render.models import load_audio_network
from mmdream.settings.recipe import Recipe

CLOCK = Fraction(1, 1000)
SCORED_EVERY = 4
SHIFTS = range(-3, 4)
AFTER_CUT = 2.0


def read_small(path: Path) -> dict[float, np.ndarray]:
    """Luma of all frames in small, by their seconds."""
    found = {}
    for frame in read_frames(probe(path)):
        luma = cv2.cvtColor(
            cv2.resize(frame.rgb, (160, 90), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        found[float(frame.seconds)] = luma
    return found


def read_at(path: Path, moments: list[float]) -> Iterator[np.ndarray]:
    """The frames that are nearest to rising moments."""
    frames = read_frames(probe(path))
    held = next(frames)
    following = next(frames, None)
    for moment in moments:
        while following is not None and abs(float(following.seconds) - moment) <= abs(
            float(held.seconds) - moment
        ):
            held, following = following, next(frames, None)
        yield held.rgb
    frames.close()


def read_sound(path: Path) -> tuple[np.ndarray, int, float]:
    """The first track, its rate, and the second at which it begins."""
    film = probe(path)
    track = film.audio_tracks[0]
    samples = np.concatenate([each for _, each in decode_audio(film, track)], axis=1)
    return samples, track.rate, float(track.start)


def measure_sound_lag(source: Path, live: Path, began: float) -> float:
    """Seconds, by the envelopes at 1 kHz."""
    envelopes = []
    for path, shift in ((source, began), (live, 0.0)):
        samples, rate, start = read_sound(path)
        samples = samples[:, max(0, round((shift - start) * rate)) :]
        hop = rate // 1000
        power = np.abs(samples.mean(axis=0))
        power = power[: len(power) // hop * hop].reshape(-1, hop).mean(1)
        envelopes.append(np.diff(np.log(power + 1e-3)))
    a, b = envelopes
    length = min(len(a), len(b)) - 400
    match = [float(np.dot(a[200 : length + 200], b[200 + k : length + 200 + k])) for k in range(-200, 201)]
    return (int(np.argmax(match)) - 200) / 1000


def main() -> int:
    """Read the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("live", type=Path)
    parser.add_argument("began", type=float)
    parser.add_argument("offline", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--depth", type=float, default=0.9)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    live = probe(options.live)
    stamps = [float(frame.seconds) for frame in read_frames(live)]
    moments = [each - stamps[0] + options.began for each in stamps]
    assert live.video is not None
    size = {"width": live.video.width, "height": live.video.height}
    video = replace(live.video, rate=Fraction(25), **size)
    card = load_card("dreamnet", "picture")
    network = load_network(card)
    objective = objective_at_depth(card, options.depth)
    rows = []
    writers = {
        name: VideoWriter(options.folder / f"{name}.mkv", video, ".mkv", CLOCK)
        for name in ("source", "live", "offline")
    }
    readers = {
        "source": read_at(options.source, moments),
        "live": read_at(options.live, stamps),
        "offline": read_at(options.offline, moments),
    }
    for number, moment in enumerate(moments):
        frames = {name: next(reader) for name, reader in readers.items()}
        for name, writer in writers.items():
            writer.write(frames[name], round(1000 * stamps[number]))
        row = {"seconds": moment}
        for name in ("live", "offline"):
            row[f"strength_{name}"] = float(np.abs(frames[name] - frames["source"]).mean())
        if number % SCORED_EVERY == 0:
            for name, frame in frames.items():
                row[f"objective_{name}"] = evaluate_objective(network, objective, frame)
        rows.append(row)
    for writer in writers.values():
        writer.__exit__(None, None, None)

    def compare(part: list[dict[str, float]]) -> dict[str, float]:
        def mean(key: str) -> float:
            return float(np.mean([row[key] for row in part if key in row]))

        added = {name: mean(f"objective_{name}") - mean("objective_source") for name in ("live", "offline")}
        return {
            "from": round(part[0]["seconds"], 2),
            "strength": round(mean("strength_live") / max(mean("strength_offline"), 1e-9), 3),
            "objective": round(mean("objective_live") / mean("objective_offline"), 3),
            "gain": round(added["live"] / added["offline"], 3),
        }

    edges = [round(k * len(rows) / 10) for k in range(11)]
    tenths = [compare(rows[first:stop]) for first, stop in pairwise(edges)]
    scan = scan_frames(read_frames(probe(options.source)))
    cuts = [float(scan.pts[shot.first] * scan.time_base) for shot in scan.shots[1:]]
    behind = [[row for row in rows if cut <= row["seconds"] < cut + AFTER_CUT] for cut in cuts]
    small_source, small_live = read_small(options.source), read_small(options.live)
    seconds = sorted(small_source)
    lags = []
    for shift in SHIFTS:
        difference = []
        for at, luma in zip(moments, small_live.values(), strict=True):
            place = int(np.argmin(np.abs(np.array(seconds) - at))) + shift
            if 0 <= place < len(seconds):
                difference.append(float(np.abs(luma - small_source[seconds[place]]).mean()))
        lags.append(np.mean(difference))
    result = {
        "frames": len(rows),
        "rate": (len(stamps) - 1) / (stamps[-1] - stamps[0]),
        "longest_gap": max(np.diff(stamps)),
        "picture_lag": SHIFTS[int(np.argmin(lags))],
        "tenths": tenths,
        "after_cuts": [compare(part) for part in behind if len(part) > SCORED_EVERY],
    }
    if live.audio_tracks:
        result["sound_lag"] = measure_sound_lag(options.source, options.live, options.began)
        net = load_audio_network(Recipe(), EventSink())
        sounds = {name: read_sound(getattr(options, name)) for name in ("source", "live", "offline")}
        weights = net.card.mix(np.array([options.depth]))[0]
        rate = sounds["source"][1]
        given = ArraySource(sounds["source"][0], rate)
        energy = {
            name: float(weights @ measure_contrast_energies(given, ArraySource(samples, rate), net))
            for name, (samples, _, _) in sounds.items()
        }
        ratio = {name: energy[name] / energy["source"] for name in ("live", "offline")}
        result["sound"] = ratio | {"share": (ratio["live"] - 1) / (ratio["offline"] - 1)}
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
