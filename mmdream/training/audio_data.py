"""Sounds as a network is taught on them: rolled, louder and softer, tinged, mixed and masked at random.

All of it but the masks is done to the power in the network's own bands, where two sounds add up, and before
the scale that the network hears; both are those of the dream (`mmdream.audio.filterbank`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from mmdream.audio.filterbank import make_network_stft, measure_band_power, to_network_input
from mmdream.datasets.folder import Dataset, Example
from mmdream.datasets.load import ExampleFormat, load_example
from mmdream.networks.card import AudioInput
from mmdream.training.data import label_array

SAMPLE_RATES = (8000, 16_000, 22_050, 44_100, 48_000)
"""Samples a second at which sounds are read: the first that has all of a network's bands."""
POWER_FLOOR = 1e-12
"""Power that is added before the logarithm that is kept."""
MAX_SECONDS = 30
"""Of a recording that is told in one."""
MAX_GAIN_DB = 6.0
"""Louder or softer."""
QUIET_POWER_RATIO, EVENT_QUIET_SHARE = 0.01, 0.25
"""Power of a tenth of a second over that of the loudest, and the share of such ones that makes an event."""
MIXUP_ALPHA = 0.4
"""Of Beta(a, a), the share of the louder of two sounds (mixup, Zhang et al. 2018)."""


@dataclass(frozen=True)
class AudioInputs:
    """The sounds of a set, in a network's bands."""

    of: Dataset
    front: AudioInput
    logs: np.ndarray
    """float16 [column of all, band], ln power."""
    spans: dict[Path, tuple[int, int]]
    """Where the columns of each file begin and end."""
    columns: int
    """Of a crop, before they are thinned out."""

    def augmented_batch(
        self, examples: Sequence[Example], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some, changed at random.

        Returns:
            float32 [n, column, band, 1], as the network hears it; shares of the classes, float32 [n, class].
        """
        powers = np.stack([augment_power(self.power(each), self.columns, rng) for each in examples])
        labels = np.eye(len(self.of.classes), dtype=np.float32)[label_array(examples)]
        other = rng.permutation(len(examples))
        share = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA, len(examples)).astype(np.float32)
        share = np.maximum(share, 1 - share)
        powers = share[:, None, None] * powers + (1 - share)[:, None, None] * powers[other]
        labels = share[:, None] * labels + (1 - share)[:, None] * labels[other]
        return mask_spectrogram(to_network_input(powers, self.front), rng), labels

    def alike(self, examples: Sequence[Example], batch: int) -> list[list[Example]]:
        """Those of one length together."""
        groups = (list(same) for _, same in groupby(sorted(examples, key=self.length), self.length))
        return [same[first : first + batch] for same in groups for first in range(0, len(same), batch)]

    def plain(self, examples: Sequence[Example]) -> np.ndarray:
        """Each whole, all of one length, float32 [n, column, band, 1]."""
        columns = self.length(examples[0])
        return to_network_input(
            np.stack([tile_to_length(self.power(each), columns)[:columns] for each in examples]), self.front
        )

    def length(self, example: Example) -> int:
        """Columns of one that are fed: at least a crop, at most `MAX_SECONDS`."""
        stft = make_network_stft(self.front, choose_sample_rate(self.front))
        first, stop = self.spans[example.file]
        return min(max(stop - first, self.columns), round(MAX_SECONDS * stft.rate / stft.hop))

    def power(self, example: Example) -> np.ndarray:
        """Of one, float32 [column, band]."""
        first, stop = self.spans[example.file]
        return np.exp(self.logs[first:stop].astype(np.float32))

    def unit(self, examples: Sequence[Example]) -> float:
        """What an attack's length is counted in: the deviation of what the network hears."""
        some = examples[:: max(1, len(examples) // 64)]
        return float(np.std(np.concatenate([self.plain([each]).ravel() for each in some])))


def choose_sample_rate(front: AudioInput) -> int:
    """Samples a second at which a network's sounds are read."""
    return next((rate for rate in SAMPLE_RATES if rate >= 2 * front.high_hz), SAMPLE_RATES[-1])


def load_audio_inputs(
    of: Dataset, front: AudioInput, seconds: float, folder: Path, progress: Callable[[int, int], None]
) -> AudioInputs:
    """Take every sound of a set into a network's bands, once.

    Args:
        of: the set.
        front: the network's front end.
        seconds: of a crop.
        folder: where the bands are kept while the network is taught; what is there is taken.
        progress: takes the number of files that are heard, and of all.

    Raises:
        UserError: a file is damaged.
    """
    rate, path = choose_sample_rate(front), folder / "bands.f16"
    lengths = path.with_suffix(".npy")
    heard = _read_column_counts(path, lengths, front.bands)
    if not heard:
        lengths.unlink(missing_ok=True)
        with open(path, "wb") as file:
            for number, example in enumerate(of.examples):
                power = measure_band_power(load_example(of, example, ExampleFormat(rate=rate)), rate, front)
                file.write(np.log(power + np.float32(POWER_FLOOR)).astype(np.float16).tobytes())
                heard.append(len(power))
                progress(number + 1, len(of.examples))
        # Written last: with it, all is heard.
        np.save(lengths, heard, allow_pickle=False)
    ends = np.cumsum(heard).tolist()
    spans = dict(zip((each.file for each in of.examples), pairwise([0, *ends]), strict=True))
    logs = np.memmap(path, np.float16, "r", shape=(ends[-1], front.bands))
    grid = front.decimation
    columns = grid * math.ceil(seconds * rate / make_network_stft(front, rate).hop / grid)
    return AudioInputs(of, front, logs, spans, columns)


def _read_column_counts(path: Path, lengths: Path, bands: int) -> list[int]:
    """Columns of each sound that was heard before; none: nothing was, or it is not whole any more."""
    try:
        found: list[int] = np.load(lengths, allow_pickle=False).tolist()
        whole = path.stat().st_size == sum(found) * bands * np.dtype(np.float16).itemsize
    except (OSError, ValueError, EOFError, TypeError):
        return []
    return found if whole else []


def find_event_classes(sounds: AudioInputs, examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes whose sounds begin and end: in half of them or more, much of the time is quiet.

    Of ESC-10 these are dogs, babies, clocks, sneezes and roosters (0.3 to 0.88 of the time), and not rain,
    sea, helicopters, chainsaws and fire (hardly any).
    """
    stft = make_network_stft(sounds.front, choose_sample_rate(sounds.front))
    block = max(1, round(0.1 * stft.rate / stft.hop))
    quiet: dict[int, list[float]] = defaultdict(list)
    for each in examples:
        power = sounds.power(each).sum(1)
        power = np.add.reduceat(power, np.arange(0, len(power), block))
        quiet[each.label].append(float(np.mean(power < QUIET_POWER_RATIO * power.max())))
    told = {sounds.of.classes[label]: np.median(shares) for label, shares in quiet.items()}
    return tuple(name for name in sounds.of.classes if told.get(name, 0) >= EVENT_QUIET_SHARE)


def augment_power(power: np.ndarray, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of a sound, rolled, louder or softer, tinged, with a floor of noise.

    Args:
        power: float32 [column, band].
        columns: of the piece; a shorter sound is repeated.
        rng: draws all of it.

    Returns:
        float32 [columns, band].
    """
    power = tile_to_length(power, columns)
    start = int(rng.integers(len(power) - columns + 1))
    piece = np.roll(power[start : start + columns], int(rng.integers(columns)), axis=0)
    bands = piece.shape[1]
    tinge = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), rng.normal(0, 0.35, 5))
    gain = np.exp(tinge + rng.uniform(-MAX_GAIN_DB, MAX_GAIN_DB) * np.log(10) / 10)
    hiss = 10 ** rng.uniform(-9, -6) * rng.exponential(1.0, piece.shape)
    return np.asarray(piece * gain + hiss, np.float32)


def tile_to_length(power: np.ndarray, columns: int) -> np.ndarray:
    """A sound repeated until it has so many columns."""
    return np.tile(power, (-(-columns // len(power)), 1)) if len(power) < columns else power


def mask_spectrogram(heard: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One stripe of time and one of bands of each set to the mean (SpecAugment, Park et al. 2019).

    Args:
        heard: float32 [n, column, band, 1].
        rng: draws the stripes, up to an eighth of either side.
    """
    masked = heard.copy()
    for one in masked:
        for axis in (0, 1):
            length = one.shape[axis]
            width = int(rng.integers(length // 8 + 1))
            start = int(rng.integers(length - width + 1))
            np.moveaxis(one, axis, 0)[start : start + width] = 0.0
    return masked
