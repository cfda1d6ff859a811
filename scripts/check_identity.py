"""Show what must be the same: strength 0 and the source, two runs of a seed, schedule and use.

    python scripts/check_identity.py [FILM] [--end 4] [--only zero seed schedule ramp]

Without FILM the film of `mmdream sample` is used. Every dream is .mkv, made by the command line.
zero: at strength 0 the picture lies within 2/255 of the source, the sound at 100 dB SNR or more.
seed: two runs have the same hash of all frames and of all samples.
schedule: strength 0 until 2 s and 1 from 2.04 s; when picture and sound begin to differ.
ramp: every setting varies; how far what --json lists departs from `Schedule.at` of its time.
One JSON line for each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mmdream.audio.spectra import make_stft
from mmdream.media.audio_files import extract_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.registry import load_card
from mmdream.sample.film import make_sample
from mmdream.settings import files
from mmdream.settings.schedule import SCHEDULE_LIMITS, Schedule

ROOT = Path(__file__).resolve().parents[1]
STEP = """
[[key]]
at = 2
strength = 0
[[key]]
at = 2.04
strength = 1
"""
RAMP = """
[[key]]
at = 0
octaves = 2
octave_scale = 1.3
steps = 4
depth = 0.2
strength = 0.5
[[key]]
at = 3
octaves = 4
octave_scale = 1.6
steps = 10
depth = 0.9
strength = 1.2
"""
ROUNDING = 1.01 / 255
"""Of a picture of 8 bits."""
AUDIBLE = 1e-6
"""Of full scale: 120 dB down."""


def run_dream(source: Path, out: Path, end: float | None, *options: str) -> dict[str, Any]:
    """Run `mmdream video`; its report."""
    command = [sys.executable, "-m", "mmdream", "video", str(source), "-o", str(out), "--json"]
    until = [] if end is None else ["--end", str(end)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([*command, *until, *options], env=environment, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def read_sound(path: Path, end: float | None = None) -> tuple[np.ndarray, int, float]:
    """First sound track: float64 [sample, channel], samples a second, its first second."""
    film = probe(path)
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "sound.wav"
        track = extract_audio(film, film.audio_tracks[0], wave, None, _fraction(end))
        samples, rate = soundfile.read(wave, always_2d=True)
    return samples, rate, float(track.start)


def frame_differences(source: Path, out: Path, end: float | None) -> list[tuple[float, float]]:
    """Second and largest difference (of the range 0..1) of each frame."""
    frames = zip(read_frames(probe(source), None, _fraction(end)), read_frames(probe(out)), strict=True)
    return [(float(was.seconds), float(np.abs(now.rgb - was.rgb).max())) for was, now in frames]


def check_zero_strength(source: Path, end: float | None, folder: Path) -> dict[str, Any]:
    """Strength 0 against the source."""
    out = folder / "zero.mkv"
    report = run_dream(source, out, end, "--strength", "0")
    (was, rate, _), (now, _, _) = read_sound(source, end), read_sound(out)
    error = np.square(now[: len(was)] - was[: len(now)]).sum()
    picture = frame_differences(source, out, end)
    return {
        "check": "zero",
        "frames": report["frames"],
        "picture_difference_of_255": max(difference for _, difference in picture) * 255,
        "sound_snr_db": 10 * math.log10(np.square(was).sum() / error) if error else "no difference",
        "samples": [len(was), len(now)],
        "rate": rate,
    }


def hash_film(path: Path) -> dict[str, str]:
    """Of all pixels with their time stamps, and of all samples."""
    picture = hashlib.sha256()
    for frame in read_frames(probe(path)):
        picture.update(str(frame.pts).encode() + frame.rgb.tobytes())
    return {
        "picture": picture.hexdigest()[:16],
        "sound": hashlib.sha256(read_sound(path)[0].tobytes()).hexdigest()[:16],
    }


def check_seed(source: Path, end: float | None, folder: Path) -> dict[str, Any]:
    """The same seed twice, and another one."""
    found = []
    for name, number in (("first", 3), ("again", 3), ("other", 4)):
        out = folder / f"{name}.mkv"
        run_dream(source, out, end, "--seed", str(number))
        found.append(hash_film(out))
    first, again, other = found
    return {
        "check": "seed",
        "same_seed_same_picture": first["picture"] == again["picture"],
        "same_seed_same_sound": first["sound"] == again["sound"],
        "other_seed_other_picture": first["picture"] != other["picture"],
        "other_seed_other_sound": first["sound"] != other["sound"],
        "first": first,
        "again": again,
    }


def check_step(source: Path, end: float | None, folder: Path) -> dict[str, Any]:
    """Strength 0 until 2 s, 1 from 2.04 s."""
    out, plan = folder / "step.mkv", folder / "step.toml"
    plan.write_text(STEP)
    report = run_dream(source, out, end, "--schedule", str(plan))
    seconds, differences = (np.array(row) for row in zip(*frame_differences(source, out, end), strict=True))
    (was, rate, start), (now, _, _) = read_sound(source, end), read_sound(out)
    changed = np.abs(now - was).max(axis=1) > AUDIBLE
    front = load_card("melnet").input
    window = make_stft(rate, front.hop_seconds).window / rate
    return {
        "check": "schedule",
        "first_frame_after_2_s": float(seconds[seconds > 2][0]),
        "first_changed_frame_s": float(seconds[differences > ROUNDING][0]),
        "largest_difference_before_of_255": float(differences[seconds <= 2].max() * 255),
        "first_changed_sample_s": start + int(changed.argmax()) / rate,
        "stft_window_s": window,
        **schedule_departures(report, files.read_schedule(plan)),
    }


def check_ramp(source: Path, end: float | None, folder: Path) -> dict[str, Any]:
    """All five settings in motion."""
    out, plan = folder / "ramp.mkv", folder / "ramp.toml"
    plan.write_text(RAMP)
    report = run_dream(source, out, end, "--schedule", str(plan))
    frames = [float(frame.seconds) for frame in read_frames(probe(source), None, _fraction(end))]
    listed = [entry["at"] for entry in report["schedule"]["picture"]]
    schedule = files.read_schedule(plan)
    news = [
        at for at, before in zip(frames[1:], frames, strict=False) if schedule.at(at) != schedule.at(before)
    ]
    return {
        "check": "ramp",
        "every_change_of_the_picture_is_listed": np.allclose(listed, [frames[0], *news], atol=1e-6),
        **schedule_departures(report, schedule),
    }


def schedule_departures(report: dict[str, Any], wanted: Schedule) -> dict[str, Any]:
    """Entries a medium, and the largest departure of any from the schedule at its own time."""
    found = {}
    for medium, entries in report["schedule"].items():
        off = [
            abs(entry[name] - getattr(wanted.at(entry["at"]), name))
            for entry in entries
            for name in SCHEDULE_LIMITS
        ]
        found[medium] = {
            "entries": len(entries),
            "from": entries[0]["at"],
            "to": entries[-1]["at"],
            "largest_departure": max(off),
        }
    return found


def _fraction(seconds: float | None) -> Fraction | None:
    return None if seconds is None else Fraction(str(seconds))


CHECKS = {"zero": check_zero_strength, "seed": check_seed, "schedule": check_step, "ramp": check_ramp}


def main() -> None:
    """Run the checks and print a line of figures for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, nargs="?", help="default: the sample film")
    parser.add_argument("--end", type=float, help="second of FILM at which the dreams end")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, film = Path(name), args.film
        if film is None:
            film = folder / "sample.mp4"
            make_sample(film)
        for check in args.only:
            print(json.dumps(CHECKS[check](film, args.end, folder)), flush=True)


if __name__ == "__main__":
    main()
