"""The judge of sound dreams: its hearing and its network, both apart from all that dreams.

Trained by train_sound_judge.py. A short window, mel bands of power to the quarter and convolutions over
time alone, where the networks that dream hear a long window, logarithms and pictures. It says for each
class apart whether it is there: a bark over rain is both, a burst of noise is neither.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import librosa
import numpy as np

from mmdream.networks.framework import keras, tf

RATE, WINDOW, HOP = 44_100, 1024, 441
BANDS, LOW_HZ, HIGH_HZ = 80, 60.0, 14_000.0
QUIET = 1e-4
"""Of the loudest frame: what lies 40 dB under it has no say in the level."""
DILATIONS = (1, 2, 4, 8, 16)
"""Of the separable convolutions; together they hear 1.3 s."""
WIDTH = 64
LOOK, EVERY = 500, 250
"""Frames that are judged at a time (5 s, the length of an ESC-10 clip), and from one look to the next."""
_MEL = librosa.filters.mel(sr=RATE, n_fft=WINDOW, n_mels=BANDS, fmin=LOW_HZ, fmax=HIGH_HZ).T


@dataclass(frozen=True)
class Judge:
    """Networks of one recipe that are heard together."""

    classes: tuple[str, ...]
    networks: tuple[keras.Model, ...]
    mean: np.ndarray
    """float32 [band], of what the networks are given."""
    deviation: np.ndarray

    def chances(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """How sure the judge is of each class.

        Args:
            samples: float [channel, sample].
            rate: samples a second.

        Returns:
            float64 [class], 0..1, each for itself: they need not sum to 1; mean over looks of 5 s.
        """
        power = mel_power(samples, rate)
        last = max(len(power) - LOOK, 0)
        starts = np.rint(np.linspace(0, last, 1 + -(-last // EVERY))).astype(int)
        return self.chances_of_powers([power[start : start + LOOK] for start in starts]).mean(axis=0)

    def chances_of_powers(self, powers: list[np.ndarray]) -> np.ndarray:
        """The same of looks at mel powers [frame, band], float64 [look, class]."""
        chances = []
        for power in powers:
            shown = tf.constant(((compress_mel_power(power) - self.mean) / self.deviation)[None], tf.float32)
            logits = np.mean([network(shown, training=False)[0] for network in self.networks], axis=0)
            chances.append(1 / (1 + np.exp(-logits.astype(np.float64))))
        return np.array(chances)

    def class_index(self, name: str) -> int:
        """Which class is meant by its name or its first word."""
        matches = [n for n, each in enumerate(self.classes) if name in (each, each.split()[0])]
        if len(matches) != 1:
            raise SystemExit(f"no class {name!r}; there are {', '.join(self.classes)}")
        return matches[0]


def mel_power(samples: np.ndarray, rate: int) -> np.ndarray:
    """Mel power of a sound's channels together, float32 [frame, band], of samples [channel, sample]."""
    mono = np.asarray(samples, np.float32).mean(axis=0)
    if rate != RATE:
        mono = librosa.resample(mono, orig_sr=rate, target_sr=RATE)
    stft = librosa.stft(np.pad(mono, (0, max(WINDOW - len(mono), 0))), n_fft=WINDOW, hop_length=HOP)
    return np.asarray(np.square(np.abs(stft)).T @ _MEL, np.float32)


def compress_mel_power(power: np.ndarray) -> np.ndarray:
    """What is put before the networks, but for mean and deviation: levelled, to the quarter.

    Args:
        power: float32 [frame, band].

    Returns:
        float32, the same shape.
    """
    return np.asarray(np.sqrt(np.sqrt(power / np.float32(mean_level(power)))), np.float32)


def mean_level(power: np.ndarray) -> float:
    """Mean power of the frames within 40 dB of the loudest one; 1 for silence."""
    frames = power.sum(axis=1)
    loudest = frames.max()
    return float(frames[frames >= QUIET * loudest].mean()) if loudest > 0 else 1.0


def build_network(classes: int) -> keras.Model:
    """Build it: [n, frame, band] -> logits [n, class], one yes or no for each class."""
    layers = keras.layers

    def norm(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.Activation("silu")(layers.BatchNormalization(momentum=0.95)(x))

    shown = keras.Input((None, BANDS))
    x = norm(layers.Conv1D(WIDTH, 5, padding="same", use_bias=False)(shown))
    for dilation in DILATIONS:
        y = layers.SeparableConv1D(WIDTH, 3, dilation_rate=dilation, padding="same", use_bias=False)(x)
        x = layers.Add()([x, norm(y)])
    pooled = [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    x = layers.Dropout(0.3)(layers.Concatenate()(pooled))
    return keras.Model(shown, layers.Dense(classes)(x))


def save_judge(judge: Judge, path: Path) -> None:
    """Write the weights as an archive of arrays."""
    arrays = {"mean": judge.mean, "deviation": judge.deviation, "classes": np.array(judge.classes)}
    for number, each in enumerate(judge.networks):
        arrays |= {f"{number} {place}": array for place, array in enumerate(each.get_weights())}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_judge(path: Path) -> Judge:
    """Read what `save_judge` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    classes = tuple(str(name) for name in arrays["classes"])
    networks = []
    while f"{len(networks)} 0" in arrays:
        built = build_network(len(classes))
        count = len(built.get_weights())
        built.set_weights([arrays[f"{len(networks)} {place}"] for place in range(count)])
        networks.append(built)
    return Judge(classes, tuple(networks), arrays["mean"], arrays["deviation"])
