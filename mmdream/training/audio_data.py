"""Sounds as a network is trained on them, augmented as power in the network's own bands, where two add up.

Only the masks come after the scale of the network's input; bands and scale are those of the dream.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from mmdream.audio.spectra import make_network_stft, measure_band_power, to_network_input
from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.networks.card import AudioInput
from mmdream.training.data import Batch, label_array

SAMPLE_RATES = (8000, 16_000, 22_050, 44_100, 48_000)
"""At which sounds are read: the first that has all of a network's bands."""
POWER_FLOOR = 1e-12
"""Added before the logarithm that is kept."""
MAX_SECONDS = 30
"""Of a recording that is classified as a whole."""
MAX_GAIN_DB = 6.0
QUIET_POWER_RATIO, EVENT_QUIET_SHARE = 0.01, 0.25
"""Power of a tenth of a second over that of the loudest, and the share of such ones that makes an event."""
MIXUP_ALPHA = 0.4
"""Of Beta(a, a), the share of the louder of two sounds (mixup, Zhang et al. 2018)."""


@dataclass(frozen=True)
class AudioInputs:
    """The sounds of a set in a network's bands, see `mmdream.training.data.TrainingInputs`."""

    dataset: Dataset
    front: AudioInput
    log_power: np.ndarray
    """float16 [frame of all sounds, band], natural logarithm."""
    spans: dict[Path, tuple[int, int]]
    """First frame of each file, and the one after its last."""
    crop_frames: int
    """Frames of a crop, before they are thinned out."""

    def augmented_batch(self, examples: Sequence[Example], rng: np.random.Generator) -> Batch:
        """Mixed crops, float32 [n, frame, band, 1]."""
        powers = np.stack([augment_power(self.power(example), self.crop_frames, rng) for example in examples])
        labels = np.eye(len(self.dataset.classes), dtype=np.float32)[label_array(examples)]
        other = rng.permutation(len(examples))
        share = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA, len(examples)).astype(np.float32)
        share = np.maximum(share, 1 - share)
        powers = share[:, None, None] * powers + (1 - share)[:, None, None] * powers[other]
        labels = share[:, None] * labels + (1 - share)[:, None] * labels[other]
        return mask_spectrogram(to_network_input(powers, self.front), rng), labels

    def group_batches(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Those of one length together."""
        groups = (list(same) for _, same in groupby(sorted(examples, key=self.length), self.length))
        return [same[first : first + batch] for same in groups for first in range(0, len(same), batch)]

    def plain_batch(self, examples: Sequence[Example]) -> np.ndarray:
        """Each whole, all of one length, float32 [n, frame, band, 1]."""
        frames = self.length(examples[0])
        powers = [tile_to_length(self.power(example), frames)[:frames] for example in examples]
        return to_network_input(np.stack(powers), self.front)

    def length(self, example: Example) -> int:
        """Frames of an example: at least a crop, at most `MAX_SECONDS`."""
        stft = make_network_stft(self.front, choose_sample_rate(self.front))
        first, stop = self.spans[example.file]
        return min(max(stop - first, self.crop_frames), round(MAX_SECONDS * stft.rate / stft.hop))

    def power(self, example: Example) -> np.ndarray:
        """Of an example, float32 [frame, band]."""
        first, stop = self.spans[example.file]
        return np.exp(self.log_power[first:stop].astype(np.float32))

    def attack_unit(self, examples: Sequence[Example]) -> float:
        """The deviation of the network's input."""
        some = examples[:: max(1, len(examples) // 64)]
        return float(np.std(np.concatenate([self.plain_batch([example]).ravel() for example in some])))


def choose_sample_rate(front: AudioInput) -> int:
    """Samples a second at which a network's sounds are read."""
    return next((rate for rate in SAMPLE_RATES if rate >= 2 * front.high_hz), SAMPLE_RATES[-1])


def load_audio_inputs(
    dataset: Dataset, front: AudioInput, seconds: float, folder: Path, progress: Callable[[int, int], None]
) -> AudioInputs:
    """Measure the band power of every sound of a set, or read what the training's folder keeps.

    Crops will last `seconds`. Calls `progress` with (files done, files in all).
    """
    rate, path = choose_sample_rate(front), folder / "bands.f16"
    counts_path = path.with_suffix(".npy")
    counts: list[int] = []  # Frames of each sound, if all is there.
    with suppress(OSError, ValueError, EOFError, TypeError):
        kept = np.load(counts_path, allow_pickle=False).tolist()
        if path.stat().st_size == sum(kept) * front.bands * np.dtype(np.float16).itemsize:
            counts = kept
    if not counts:
        counts_path.unlink(missing_ok=True)
        with open(path, "wb") as file:
            for number, example in enumerate(dataset.examples, 1):
                samples = load_example(dataset, example, ExampleFormat(rate=rate))
                power = measure_band_power(samples, rate, front)
                file.write(np.log(power + np.float32(POWER_FLOOR)).astype(np.float16).tobytes())
                counts.append(len(power))
                progress(number, len(dataset.examples))
        np.save(counts_path, counts, allow_pickle=False)  # Written last: with it, all is there.
    ends = np.cumsum(counts).tolist()
    spans = dict(zip((example.file for example in dataset.examples), pairwise([0, *ends]), strict=True))
    log_power = np.memmap(path, np.float16, "r", shape=(ends[-1], front.bands))
    step = front.decimation
    crop_frames = step * math.ceil(seconds * rate / make_network_stft(front, rate).hop / step)
    return AudioInputs(dataset, front, log_power, spans, crop_frames)


def find_event_classes(inputs: AudioInputs, examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes whose sounds begin and end: in half of them or more, much of the time is quiet.

    In ESC-10 dogs, babies, clocks, sneezes and roosters (0.3 to 0.88 of the time), and hardly any other.
    """
    stft = make_network_stft(inputs.front, choose_sample_rate(inputs.front))
    block = max(1, round(0.1 * stft.rate / stft.hop))
    quiet: dict[int, list[float]] = defaultdict(list)
    for example in examples:
        power = inputs.power(example).sum(1)
        power = np.add.reduceat(power, np.arange(0, len(power), block))
        quiet[example.label].append(float(np.mean(power < QUIET_POWER_RATIO * power.max())))
    classes = inputs.dataset.classes
    medians = {classes[label]: np.median(shares) for label, shares in quiet.items()}
    return tuple(name for name in classes if medians.get(name, 0) >= EVENT_QUIET_SHARE)


def augment_power(power: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A random crop [frames, band] of float32 [frame, band]: rolled, with gains of the bands and noise."""
    power = tile_to_length(power, frames)
    start = int(rng.integers(len(power) - frames + 1))
    crop = np.roll(power[start : start + frames], int(rng.integers(frames)), axis=0)
    bands = crop.shape[1]
    tilt = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), rng.normal(0, 0.35, 5))
    gain = np.exp(tilt + rng.uniform(-MAX_GAIN_DB, MAX_GAIN_DB) * np.log(10) / 10)
    noise = 10 ** rng.uniform(-9, -6) * rng.exponential(1.0, crop.shape)
    return np.asarray(crop * gain + noise, np.float32)


def tile_to_length(power: np.ndarray, frames: int) -> np.ndarray:
    """A sound repeated until it has so many frames."""
    return np.tile(power, (-(-frames // len(power)), 1)) if len(power) < frames else power


def mask_spectrogram(inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Set stripes of inputs [n, frame, band, 1] to their mean, 0 (SpecAugment, Park et al. 2019)."""
    masked = inputs.copy()
    for one in masked:
        for axis in (0, 1):
            length = one.shape[axis]
            width = int(rng.integers(length // 8 + 1))
            start = int(rng.integers(length - width + 1))
            np.moveaxis(one, axis, 0)[start : start + width] = 0.0
    return masked
