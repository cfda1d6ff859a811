"""Measure the clips of an ouroboros: whether they overcook, keep their level, and go on changing.

    python scripts/measure_ouroboros.py FOLDER [--source SOUND] [--plot PICTURE]

FOLDER holds one ouroboros of `mmdream audio --ouroboros`: OUT.01.wav, OUT.02.wav and so on. Prints JSON: for
each clip the share of its strongest third-octave, the share above 4 kHz, loudness, true peak and the
log-spectral distance to the clip before it (as in measure_sound.py, over the shorter of the two; the first
clip's to SOURCE where it is given); and whether the last clip and every level lie within their bounds.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
from measure_sound import log_spectral_distance, loudness, read_sound, spectrogram_db, true_peak

from mmdream.audio.source import ArraySource
from mmdream.audio.transform import MAX_HIGH_RATIO, MAX_HIGH_SHARE, MAX_THIRD_SHARE, measure_balance

MADE_LUFS = -23.0
"""Where no source is given, it was made at this loudness."""
TOLERANCE = 0.5
"""LU that a clip may be off; dB that it must differ from the one before it."""


def measure_clips(clips: list[ArraySource], source: ArraySource | None) -> dict[str, object]:
    """All figures of an ouroboros."""
    target_lufs = MADE_LUFS if source is None else loudness(source)
    ceiling = -1.0 if source is None else max(-1.0, true_peak(source))
    rows = []
    for clip, before in zip(clips, [source, *clips[:-1]], strict=True):
        now = measure_balance(clip.samples, clip.rate)
        rows.append(
            {
                "seconds": clip.n_samples / clip.rate,
                "strongest": now.strongest,
                "strongest_hz": now.strongest_hz,
                "high": now.high,
                "loudness": loudness(clip),
                "true_peak": true_peak(clip),
                "distance": None if before is None else clip_distance(before, clip),
            }
        )
    first, last = rows[0], rows[-1]
    level = [
        abs(row["loudness"] - target_lufs) <= TOLERANCE or row["true_peak"] > ceiling - 0.4 for row in rows
    ]
    return {
        "loudness_wanted": target_lufs,
        "clips": rows,
        "not_one_tone": last["strongest"] <= max(MAX_THIRD_SHARE, first["strongest"]),
        "no_screech": last["high"] <= max(MAX_HIGH_SHARE, MAX_HIGH_RATIO * first["high"]),
        "level": all(level) and all(row["true_peak"] <= ceiling + 0.05 for row in rows),
        "changes": all(row["distance"] is None or row["distance"] > TOLERANCE for row in rows),
    }


def clip_distance(before: ArraySource, clip: ArraySource) -> float:
    """Log-spectral distance of two clips, dB, over the length of the shorter one."""
    length = min(before.n_samples, clip.n_samples)
    return log_spectral_distance(
        spectrogram_db(before.samples[:, :length]), spectrogram_db(clip.samples[:, :length])
    )


def draw_spectrograms(clips: list[ArraySource], path: Path) -> None:
    """The spectrogram of each clip, from 50 Hz on, 80 dB deep, into one picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(clips) // 2)
    figure = Figure((14, 2.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (axes, clip) in enumerate(zip(figure.subplots(rows, 2).T.flat, clips, strict=False), 1):
        spectrogram = spectrogram_db(clip.samples)
        hz = np.linspace(0, clip.rate / 2, spectrogram.shape[1])
        time = np.arange(len(spectrogram)) * 512 / clip.rate
        top = spectrogram.max()
        axes.pcolormesh(
            time, hz[2:], spectrogram.T[2:], vmin=top - 80, vmax=top, cmap="magma", rasterized=True
        )
        axes.set(yscale="log", ylim=(50, clip.rate / 2), title=f"clip {number}", ylabel="Hz")
    figure.savefig(path, dpi=70)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", type=Path, help="what clip 1 was dreamed of; else it was made")
    parser.add_argument("--plot", type=Path, help="draw the clips into this file")
    args = parser.parse_args()
    files = [path for path in args.folder.iterdir() if re.search(r"\.\d{2,}\.\w+$", path.name)]
    if not files:
        parser.error(f"{args.folder}: holds no clips, OUT.01.wav and so on")
    clips = [read_sound(path) for path in sorted(files)]
    source = None if args.source is None else read_sound(args.source)
    print(json.dumps(measure_clips(clips, source), indent=1))
    if args.plot is not None:
        draw_spectrograms(clips, args.plot)


if __name__ == "__main__":
    main()
