"""Whether the sound of a film that had none moves with its picture.

    python scripts/measure_added_sound.py SILENT DREAM

DREAM is what `mmdream video SILENT --add-sound` made. Told are the share of cuts, and of cuts and beginnings
of motion together, that have a peak of the sound within a tenth of a second, beside the share of all places;
the loudness, LUFS; and by how many samples the sound is longer than the picture. Peaks are the strongest of
the onset strength (librosa), one a second.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import librosa
import numpy as np
import scipy.signal
from measure_sound import read_sound

from mmdream.analysis.shots import scan_frames
from mmdream.audio.loudness import meter_loudness
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.audio import measure_picture_motion

NEAR_SECONDS, HOP = 0.1, 256
"""What counts as together; samples of an onset envelope's step."""


def find_peaks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Seconds of a sound's strongest onsets, one a second on the whole, of float32 [sample]."""
    envelope = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=HOP)
    peaks, _ = scipy.signal.find_peaks(envelope, distance=round(NEAR_SECONDS * rate / HOP))
    strongest = peaks[np.argsort(-envelope[peaks])[: round(len(samples) / rate)]]
    return np.sort(strongest) * HOP / rate


def share_near(places: np.ndarray, peaks: np.ndarray) -> float | None:
    """Share of places that have a peak near; None: there are no places."""
    if not len(places):
        return None
    apart = np.abs(places[:, None] - peaks).min(axis=1)
    return round(float(np.mean(apart <= NEAR_SECONDS)), 3)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("silent", type=Path)
    parser.add_argument("dream", type=Path)
    args = parser.parse_args()
    film, sound = probe(args.silent), read_sound(args.dream)
    scan = scan_frames(read_frames(film))
    picture = measure_picture_motion(scan, film.start)
    peaks = find_peaks(sound.samples.mean(axis=0), sound.rate)
    times = np.array(scan.pts) * float(scan.time_base)
    seconds = float(times[-1] - times[0] + np.median(np.diff(times)))
    figures = {
        "film": args.dream.name,
        "cuts": len(picture.cuts),
        "near cuts": share_near(picture.cuts, peaks),
        "starts": len(picture.starts()),
        "near both": share_near(np.union1d(picture.cuts, picture.starts()), peaks),
        "near any place": share_near(np.arange(0, seconds, 0.01), peaks),
        "lufs": round(meter_loudness(sound).loudness(), 2),
        "samples too long": sound.n_samples - round(seconds * sound.rate),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
