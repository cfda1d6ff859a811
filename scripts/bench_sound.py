"""Seconds of work in a second of sound: the default dream beside the recipes of two audio dreamers before us.

    python scripts/bench_sound.py ../shared/data [--seconds 60] [--repeats 3] [--stretch 4] [--set steps=6]

Ours dreams the sound of a film, stereo, 44.1 kHz, looped to a minute: the whole command (Python's start,
reading, tracing and writing included), and the engine alone in a process that has dreamed before (median of
the repeats). The others' recipes are made anew on the same networks with random weights, which cost the
same, in the same run and on the same processors, on the first `--stretch` seconds, mono, as they take it;
their factor is that of the stretch, for their cost grows evenly with the length. Traced before they are
timed. Beside the time that passes, told is that of processors: on a busy machine only it says much.

DreamSound (char-tan, commit 9b70117, its defaults): 22,050 Hz, 128 mels, window 441, hop 200; VGG-19 to
relu5_4, 3 levels of ratio 2, 10 steps each, gradient under three Gaussians of 9 px; librosa's mel inversion
with 32 rounds of Griffin-Lim. Audio Deep Dream (kacperkan, commit 68e7e02, its README's 10 scales of 10
steps at residual_1a): 44,100 Hz, 257 bins, hop 128, ratio 1.4, tiles of 128, the source's phase. Three
minutes on two cores, most of them DreamSound's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import librosa
import numpy as np
import soundfile
from sound_dreams import build_recipe, dream_sound, fit_length, load_sound

from mmdream.audio.source import ArraySource
from mmdream.networks.framework import tf
from mmdream.networks.network import load_network
from mmdream.networks.registry import load_card

ROOT = Path(__file__).resolve().parents[1]
MEL = {"sr": 22_050, "n_fft": 441, "hop_length": 200}
Gradient = Callable[[np.ndarray], np.ndarray]
"""float32 [column, band] -> the same: of the mean square, or the mean, of a layer."""


def measure_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that some work takes, and those of processors, of the processes that it starts too."""
    began, before = time.perf_counter(), os.times()
    work()
    return time.perf_counter() - began, sum(os.times()[:4]) - sum(before[:4])


def time_command(source: ArraySource, folder: Path, settings: list[str]) -> tuple[float, float]:
    """Seconds of `mmdream audio`, from its start to its end."""
    path, out = folder / "source.wav", folder / "dream.wav"
    soundfile.write(path, source.samples.T, source.rate, "FLOAT")
    options = [part for pair in settings for part in ("--" + pair.replace("_", "-")).split("=", 1)]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "mmdream", "audio", str(path), "-o", str(out), "--overwrite", *options]
    environment = {**os.environ, "PYTHONPATH": paths}
    return measure_seconds(
        lambda: subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    )


def time_engine(source: ArraySource, settings: list[str], repeats: int) -> list[tuple[float, float]]:
    """Seconds of the engine in memory, after a dream of six seconds."""
    network, how = load_network(load_card("melnet")), build_recipe([], settings)
    dream_sound(fit_length(source, 6.0), network, how)
    return [measure_seconds(lambda: dream_sound(source, network, how)) for _ in range(repeats)]


def build_gradient(net: str, layer: str, square: bool) -> Gradient:
    """The gradient of a layer of a network of the zoo, with random weights."""
    layers = load_network(load_card(net), "random").layer_features((layer,))

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 1))])
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            (a,) = layers(x)
            value = tf.reduce_mean(tf.square(a) if square else a)
        return tape.gradient(value, x)

    return lambda x: gradient(tf.constant(x[None, ..., None], tf.float32)).numpy()[0, ..., 0]


def resize_spectrogram(x: np.ndarray, columns: int, bands: int, how: int) -> np.ndarray:
    """A spectrogram [column, band] of another size."""
    return np.asarray(cv2.resize(x, (bands, columns), interpolation=how))


def dream_sound_recipe(mono: np.ndarray, gradient: Gradient, steps: int = 10) -> np.ndarray:
    """DreamSound's single clip, samples at 22,050 Hz in and out."""
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=mono, n_mels=128, **MEL)).T
    base = ((mel + 23.5891) / 16.3979).astype(np.float32)
    x, before = base, None
    rng = np.random.default_rng(0)
    for level in range(3):
        size = [round(side * 2.0 ** (level - 2)) for side in base.shape]
        small = resize_spectrogram(base, *size, cv2.INTER_NEAREST)
        x = resize_spectrogram(x, *size, cv2.INTER_NEAREST)
        if before is not None:
            x = x + small - resize_spectrogram(before, *size, cv2.INTER_NEAREST)
        roll = int(rng.integers(20 * 2.0 ** (level - 2)))
        x = np.roll(x, roll, axis=0)
        for step in range(steps):
            ascent, sigma = gradient(x), (step + 1) / steps * 2.0 + 0.5
            blurred = sum(cv2.GaussianBlur(ascent, (9, 9), sigma * k, borderType=cv2.BORDER_REFLECT_101)
                          for k in (0.5, 1.0, 2.0)) / 3  # fmt: skip
            x = np.clip(x + 0.02 * (blurred - blurred.mean()) / blurred.std(), -3, 3)
        x, before = np.roll(x, -roll, axis=0), small
    power = librosa.db_to_power(x.T * 16.3979 - 23.5891)
    return np.asarray(librosa.feature.inverse.mel_to_audio(power, n_iter=32, **MEL))


def audio_deep_dream_recipe(
    mono: np.ndarray, gradient: Gradient, scales: int = 10, steps: int = 10, tile: int = 128
) -> np.ndarray:
    """Audio Deep Dream's, samples at 44,100 Hz in and out."""
    stft = librosa.stft(mono, n_fft=512, hop_length=128)
    magnitude = np.abs(stft) ** (1 / 8)
    x = ((1 - magnitude / magnitude.max()) * 255 - 127.5).T.astype(np.float32)
    details, rng = [], np.random.default_rng(0)
    for _ in range(scales - 1):
        size = x.shape
        low = resize_spectrogram(x, *(max(1, int(side / 1.4)) for side in size), cv2.INTER_LINEAR)
        details.append(x - resize_spectrogram(low, *size, cv2.INTER_LINEAR))
        x = low
    for scale in range(scales):
        if scale:
            x = resize_spectrogram(x, *details[-scale].shape, cv2.INTER_LINEAR) + details[-scale]
        for _ in range(steps):
            roll = rng.integers(0, 8, 2)
            rolled, ascent = np.roll(x, roll, (0, 1)), np.zeros_like(x)
            for column in range(0, max(x.shape[0] - tile // 2, tile), tile):
                for band in range(0, max(x.shape[1] - tile // 2, tile), tile):
                    here = np.s_[column : column + tile, band : band + tile]
                    ascent[here] = gradient(rolled[here])
            ascent = np.roll(ascent, -roll, (0, 1))
            x = x + ascent * (0.6 / (np.abs(ascent).mean() + 1e-7))
    dream = np.clip(1 - (x.T + 127.5) / 255, 0, 1) ** 8
    return np.asarray(librosa.istft(dream * np.exp(1j * np.angle(stft)), hop_length=128))


def main() -> None:
    """Time all, print a table and a line of JSON."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("data", type=Path, help="folder of esc10.tar, sounds and films")
    parser.add_argument("--sound", default="bunny")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stretch", type=float, default=4.0, help="seconds for the others")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of our dream")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="Empty filters detected")  # Theirs has some.
    source = fit_length(load_sound(args.data, args.sound), args.seconds)
    wall_factors: dict[str, float] = {}
    processor_factors: dict[str, float] = {}

    def print_times(name: str, times: tuple[float, float], of: float) -> None:
        wall_factors[name], processor_factors[name] = times[0] / of, times[1] / of
        ratio = wall_factors[name] / wall_factors["engine"]
        factors = f"{wall_factors[name]:8.3f} x real time, {ratio:7.1f} x ours"
        busy = f"processors {processor_factors[name]:.3f}"
        print(f"{name:18}{times[0]:8.1f} s for {of:4.0f} s: {factors}; {busy}", flush=True)

    times = time_engine(source, args.set, args.repeats)
    print_times("engine", sorted(times)[len(times) // 2], args.seconds)
    with tempfile.TemporaryDirectory() as folder:
        print_times("whole command", time_command(source, Path(folder), args.set), args.seconds)
    mono = source.samples[:, : round(args.stretch * source.rate)].mean(axis=0)
    half = librosa.resample(mono, orig_sr=source.rate, target_sr=22_050)
    for name, dream, samples, gradient in (
        ("DreamSound", dream_sound_recipe, half, build_gradient("vgg19_mel", "relu5_4", True)),
        (
            "Audio Deep Dream",
            audio_deep_dream_recipe,
            mono,
            build_gradient("residual_spec", "residual_1a", False),
        ),
    ):
        dream(samples[:22_050], gradient, steps=1)
        print_times(name, measure_seconds(partial(dream, samples, gradient)), args.stretch)
    figures = {
        "real_time_factor": wall_factors,
        "of_processors": processor_factors,
        "engine": times,
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
