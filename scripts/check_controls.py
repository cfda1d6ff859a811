"""Show that a dream is a dream: what it raises, controls as strong as it do not.

    python scripts/check_controls.py SOURCE DREAM.mkv [--start T] [--end T] [--every 12]
        [--googlenet ../shared/data/weights/googlenet_fp16.npz] [--pictures FOLDER]

Picture, on every 12th frame: mean |dream - source| of the range; the objective (default depth,
float32) over the source's, of the dream and of the source plus the same detail with a scrambled
phase; with --googlenet the mean square of inception_4c, dream over source. Sound: log-spectral
distance (2048/512, floors 80 dB under the source's peak bin); the objective over the source's, of the
dream and of a random smooth gain of equal distance. `control_over_dream` is (control - 1) / (dream
- 1) and must stay under a third. --pictures saves three frames (source above dream) and the
log-mel spectrograms of source, dream and difference. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import cv2
import librosa
import matplotlib
import numpy as np
from measure_sound import FLOOR_DB, apply_random_gain, log_spectral_distance, read_sound, spectrogram_db

from mmdream.audio.dream import measure_contrast_energies
from mmdream.audio.source import ArraySource
from mmdream.core.rng import rng_for
from mmdream.image.gradient import evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import Recipe

Pair = tuple[np.ndarray, np.ndarray]
Span = tuple[Fraction | None, Fraction | None]


def scramble_phase(detail: np.ndarray, number: int) -> np.ndarray:
    """Detail [H, W, 3] of the same power spectrum with random phase, the same in all channels."""
    noise = rng_for(0, "scrambled", number).standard_normal(detail.shape[:2])
    turn = np.fft.rfft2(noise)
    turn /= np.abs(turn)
    turn[0, 0] = 1  # The mean of each channel stays.
    spectrum = np.fft.rfft2(detail, axes=(0, 1)) * turn[..., None]
    return np.fft.irfft2(spectrum, detail.shape[:2], (0, 1)).astype(np.float32)


def rise_ratio(control_gain: float, dream_gain: float) -> float:
    """Rise under a control over the dream's rise."""
    return (control_gain - 1) / (dream_gain - 1)


def compare_pictures(
    source: Path,
    dream: Path,
    span: Span,
    every: int,
    googlenet: str | None,
) -> tuple[dict[str, float], list[Pair]]:
    """The picture's figures, and the frames they were taken from."""
    depth = Recipe().schedule.at(0).depth
    judge = load_network(load_card("dreamnet"))
    pairs, strengths = [], []
    for was, now in zip(read_frames(probe(source), *span), read_frames(probe(dream)), strict=True):
        strengths.append(float(np.abs(now.rgb - was.rgb).mean()))
        if was.index % every == 0:
            pairs.append((was.rgb, now.rgb))
    sums = np.zeros(3)
    for number, (was, now) in enumerate(pairs):
        noise = np.clip(was + scramble_phase(now - was, number), 0, 1)
        sums += [
            evaluate_objective(judge, objective_at_depth(judge.card, depth), rgb) for rgb in (was, now, noise)
        ]
    figures = {
        "frames": len(strengths),
        "frames_scored": len(pairs),
        "strength": float(np.mean(strengths)),
        "least_strength": min(strengths),
        "largest_strength": max(strengths),
        "objective_gain": sums[1] / sums[0],
        "objective_gain_scrambled": sums[2] / sums[0],
        "control_over_dream": rise_ratio(sums[2] / sums[0], sums[1] / sums[0]),
        # A cast would show here: mean change of each channel, of the range.
        "mean_change": np.mean([now - was for was, now in pairs], axis=(0, 1, 2)).tolist(),
    }
    if googlenet:
        teacher = load_network(load_card("googlenet"), googlenet)
        layers = [rung.layer for rung in teacher.card.rungs]
        at = layers.index("inception_4c_output") / (len(layers) - 1)
        wanted = objective_at_depth(teacher.card, at)
        energies = np.array([[evaluate_objective(teacher, wanted, rgb) for rgb in pair] for pair in pairs])
        figures["googlenet_4c_gain"] = float(energies[:, 1].sum() / energies[:, 0].sum())
    return figures, pairs


def read_sounds(source: Path, dream: Path, span: Span) -> tuple[ArraySource, ArraySource]:
    """First sound track of each on its film's clock, the source's cut to the excerpt."""
    return read_sound(source, *span), read_sound(dream)


def compare_sounds(was: ArraySource, now: ArraySource) -> dict[str, float]:
    """The sound's figures; rungs weigh as at the default depth."""
    distance_db = log_spectral_distance(spectrogram_db(was.samples), spectrogram_db(now.samples))
    network = load_network(load_card("melnet"))
    mix = network.card.mix(Recipe().schedule.at(0).depth)
    plain = measure_contrast_energies(was, was, network)
    smooth = apply_random_gain(was, distance_db)
    dream_gain = float(mix @ (measure_contrast_energies(was, now, network) / plain))
    control_gain = float(mix @ (measure_contrast_energies(was, smooth, network) / plain))
    return {
        "log_spectral_distance": distance_db,
        "log_spectral_distance_control": log_spectral_distance(
            spectrogram_db(was.samples), spectrogram_db(smooth.samples)
        ),
        "objective_gain": dream_gain,
        "objective_gain_control": control_gain,
        "control_over_dream": rise_ratio(control_gain, dream_gain),
    }


def save_frames(path: Path, pairs: list[Pair]) -> None:
    """Three frames side by side, source above dream."""
    chosen = [pairs[len(pairs) * k // 6] for k in (1, 3, 5)]
    rows = [np.concatenate([pair[row] for pair in chosen], axis=1) for row in (0, 1)]
    sheet = np.rint(np.concatenate(rows) * 255).astype(np.uint8)
    cv2.imwrite(str(path), sheet[..., ::-1])


def save_spectrograms(path: Path, was: ArraySource, now: ArraySource) -> None:
    """Log-mel of source, dream and their difference."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    def log_mel(sound: ArraySource) -> np.ndarray:
        power = sum(
            librosa.feature.melspectrogram(y=channel, sr=sound.rate, n_fft=2048, hop_length=512)
            for channel in sound.samples
        )
        return librosa.power_to_db(power, top_db=None)

    source, dream = log_mel(was), log_mel(now)
    floor, top = source.max() - FLOOR_DB, max(source.max(), dream.max())
    source, dream = np.maximum(source, floor), np.maximum(dream, floor)
    panels = [(source, "source"), (dream, "dream"), (dream - source, "difference")]
    figure, axes = pyplot.subplots(3, 1, figsize=(14, 11), sharex=True, layout="constrained")
    for axis, (image, title) in zip(axes, panels, strict=True):
        span = (-15, 15) if title == "difference" else (floor, top)
        shown = axis.imshow(
            image,
            origin="lower",
            aspect="auto",
            cmap="RdBu_r" if title == "difference" else "magma",
            vmin=span[0],
            vmax=span[1],
            extent=(0, was.n_samples / was.rate, 0, len(image)),
        )
        axis.set(title=title, ylabel="mel band")
        figure.colorbar(shown, ax=axis, label="dB", pad=0.01)
    axes[-1].set(xlabel="seconds")
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, print, and save pictures where they are wanted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("dream", type=Path)
    parser.add_argument("--start", type=Fraction, help="second of SOURCE where DREAM begins")
    parser.add_argument("--end", type=Fraction)
    parser.add_argument("--every", type=int, default=12)
    parser.add_argument("--googlenet", metavar="FILE.npz")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    span = args.start, args.end
    figures, pairs = compare_pictures(args.source, args.dream, span, args.every, args.googlenet)
    result: dict[str, object] = {"picture": figures}
    sounds = None
    if probe(args.dream).audio_tracks:
        sounds = read_sounds(args.source, args.dream, span)
        result["sound"] = compare_sounds(*sounds)
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
        save_frames(args.pictures / f"{args.dream.stem}.frames.png", pairs)
        if sounds is not None:
            save_spectrograms(args.pictures / f"{args.dream.stem}.sound.png", *sounds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
