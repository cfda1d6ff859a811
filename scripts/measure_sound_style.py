"""Measure what `mmdream style` makes of CONTENT and STYLE, as JSON: texture, pitch and envelope.

python scripts/measure_sound_style.py CONTENT STYLE [--weights 0.1 1 30] [--plot FOLDER]

"fell" is the distance of Gram matrices to the style's, the content's over the result's: in the networks that
were climbed, and in others that were not: random networks of another seed and other lengths of filter on the
same canvas, and Audio Deep Dream's and Deep Dreaming Sounds' networks with random weights on front ends of
their own. "chroma" is the correlation of pitch class profiles (librosa.feature.chroma_cqt, mean energy) with
the content's and the style's. "envelope" is the correlation of the level of 20 ms, dB, of content and result.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile

from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import measure_band_power, to_network_input
from mmdream.audio.style import MeteredSound, make_style_target, meter_sound, style_source
from mmdream.audio.texture import AudioTextureModel, compute_grams, gram_distances
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.passes import AudioStyleSettings

OTHERS = {"residual_spec": ("residual_1a", "residual_2b", "residual_3b"), "conv5_spec": ("conv1", "conv2")}
"""Networks that nobody climbs, and the layers of theirs that are compared."""
DECAY_DB = 60.0
"""Under the loudest 20 ms; what is softer counts as that."""


def main() -> None:
    """Style the content at each weight, and print a JSON object for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.1, 1.0, 30.0])
    parser.add_argument("--keep-rhythm", action="store_true")
    parser.add_argument("--steps", type=int, default=AudioStyleSettings().steps)
    parser.add_argument("--plot", type=Path, help="folder for sounds and spectrograms")
    args = parser.parse_args()
    content, rate = _read(args.content)
    style, _ = _read(args.style, rate)
    network = load_network(load_card("melnet"))
    results = {}
    for weight in args.weights:
        styling, began = AudioStyleSettings(weight, args.keep_rhythm, args.steps), time.perf_counter()
        blocks: list[np.ndarray] = []
        report = style_source(
            ArraySource(content, rate), [(ArraySource(style, rate), 1.0)], blocks.append, network, styling
        )
        result = results[weight] = np.concatenate(blocks, axis=1)
        wall = time.perf_counter() - began
        figures = {
            "content": args.content.stem,
            "style": args.style.stem,
            "content_weight": weight,
            "keep_rhythm": args.keep_rhythm,
            "fell": distance_ratios(content, style, result, rate, network),
            "chroma": {
                "content": correlation(chroma(result, rate), chroma(content, rate)),
                "style": correlation(chroma(result, rate), chroma(style, rate)),
            },
            "envelope": correlation(loudness(content, rate), loudness(result, rate)),
            "loudness": [report.loudness_source, report.loudness_dream],
            "true_peak": report.true_peak,
            "wall_seconds": wall,
            "real_time_factor": wall / (content.shape[1] / rate),
        }
        print(json.dumps(_round(figures)), flush=True)
    if args.plot is not None:
        args.plot.mkdir(exist_ok=True)
        name = f"{args.content.stem}_{args.style.stem}{'_rhythm' if args.keep_rhythm else ''}"
        for weight, result in results.items():
            soundfile.write(args.plot / f"{name}_{weight:g}.wav", result.T, rate, "FLOAT")
        rows = {"content": content, "style": style}
        rows |= {f"content weight {weight:g}": result for weight, result in results.items()}
        _plot_spectrograms(rows, rate, args.plot / f"{name}.png")


def distance_ratios(
    content: np.ndarray, style: np.ndarray, result: np.ndarray, rate: int, network: Network
) -> dict[str, float]:
    """How many times smaller the distance to the style's Gram matrices became, by network."""
    sounds = [meter_sound(ArraySource(samples, rate), "") for samples in (content, style, result)]
    target, _ = make_style_target(sounds[0], [(sounds[1], 1.0)], network, AudioStyleSettings())
    models = {"climbed": target}
    for name, taps in (("seed 1", (3, 7, 15)), ("filters of 11", (11,)), ("filters of 31", (31,))):
        models[name] = AudioTextureModel(sounds[0].grid, target.mean, None, 1, taps)
    found = {name: _texture_ratio(model, sounds) for name, model in models.items()}
    for name, layers in OTHERS.items():
        other = load_network(load_card(name), "random", seed=1)
        each = [_other_grams(samples, rate, other, layers) for samples in (content, style, result)]
        found[f"{name}, random"] = float(
            np.mean(gram_distances(each[0], each[1]) / np.maximum(gram_distances(each[2], each[1]), 1e-20))
        )
    return found


def _texture_ratio(target: AudioTextureModel, sounds: list[MeteredSound]) -> float:
    content, style, result = sounds
    style_grams = compute_grams(target, style.read_weighted_pieces())
    before, after = (
        gram_distances(compute_grams(target, sound.read_weighted_pieces(content)), style_grams)
        for sound in (content, result)
    )
    return float(len(before) / (after / before).sum())


def _other_grams(
    samples: np.ndarray, rate: int, network: Network, layers: tuple[str, ...]
) -> list[np.ndarray]:
    """Gram matrices of a network on its own front end, of the mean of the channels."""
    power = measure_band_power(samples.mean(axis=0), rate, network.card.input)  # type: ignore[arg-type]
    found = network.layer_features(layers)(to_network_input(power[None], network.card.input))  # type: ignore[arg-type]
    flat = [np.asarray(a, np.float64).reshape(-1, a.shape[3]) for a in found]
    return [a.T @ a / len(a) for a in flat]


def chroma(samples: np.ndarray, rate: int) -> np.ndarray:
    """Energy of the twelve pitch classes over the whole sound, float [12]."""
    found = librosa.feature.chroma_cqt(y=samples.mean(axis=0), sr=rate, norm=None)
    return np.asarray(np.square(found).mean(axis=1))


def loudness(samples: np.ndarray, rate: int) -> np.ndarray:
    """RMS of 20 ms, dB, float [block], not under `DECAY_DB` below the loudest."""
    length = rate // 50
    blocks = samples[:, : samples.shape[1] // length * length].reshape(len(samples), -1, length)
    level = 10 * np.log10(np.square(blocks).mean(axis=(0, 2)) + 1e-20)
    return np.asarray(np.maximum(level, level.max() - DECAY_DB))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two rows of numbers."""
    return float(np.corrcoef(a, b)[0, 1])


def _read(path: Path, rate: int | None = None) -> tuple[np.ndarray, int]:
    samples, own = soundfile.read(path, dtype="float32", always_2d=True)
    if rate is not None and rate != own:
        return librosa.resample(samples.T, orig_sr=own, target_sr=rate), rate
    return np.ascontiguousarray(samples.T), own


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _round(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_round(each) for each in value]
    return round(value, 3) if isinstance(value, float) else value


def _plot_spectrograms(rows: dict[str, np.ndarray], rate: int, path: Path) -> None:
    """Log-frequency spectrograms under each other."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), 1, figsize=(14, 3.2 * len(rows)), sharex=True)
    for axis, (name, samples) in zip(axes, rows.items(), strict=True):
        spectrum = np.abs(librosa.stft(samples.mean(axis=0), n_fft=2048, hop_length=256))
        level = librosa.amplitude_to_db(spectrum, ref=np.max, top_db=80)
        librosa.display.specshow(
            level, sr=rate, hop_length=256, x_axis="time", y_axis="log", ax=axis, cmap="magma"
        )
        axis.set_title(name)
        axis.set_ylim(60, rate / 2)
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


if __name__ == "__main__":
    main()
