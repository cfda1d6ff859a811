"""The transform: nothing lost, everything where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.audio.source import ArraySource, read_padded
from mmdream.audio.stft import HALF_WINDOW_HOPS, forward_stft, inverse_stft, make_stft

HOP_SECONDS = 512 / 44100


def noise(channels: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, n)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("n", [1, 100, 479, 48001])
def test_untouched_spectra_return_every_sample(rate: int, n: int) -> None:
    sound = noise(2, n)
    stft = make_stft(rate, HOP_SECONDS)
    first, stop = -1, -(-n // stft.hop) + HALF_WINDOW_HOPS
    read = read_padded(
        ArraySource(sound, rate),
        (first - HALF_WINDOW_HOPS) * stft.hop,
        (stop - 1 + HALF_WINDOW_HOPS) * stft.hop,
    )
    back = inverse_stft(forward_stft(read, stft), stft)[:, :n]
    assert back.shape == sound.shape
    error = np.square(back - sound, dtype=np.float64).sum()
    assert 10 * np.log10(np.square(sound, dtype=np.float64).sum() / max(error, 1e-30)) > 100


def test_the_hop_is_the_same_time_at_every_rate() -> None:
    assert make_stft(44100, HOP_SECONDS).hop == 512
    assert make_stft(48000, HOP_SECONDS).hop == 557
    assert make_stft(8000, HOP_SECONDS).hop == 93


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_sine_reads_its_amplitude(rate: int) -> None:
    stft = make_stft(rate, HOP_SECONDS)
    hz = stft.frequencies[40]
    t = np.arange(8 * stft.window) / rate
    sine = (0.25 * np.sin(2 * np.pi * hz * t)).astype(np.float32)[None]
    assert np.abs(forward_stft(sine, stft)).max() == pytest.approx(0.25, rel=1e-3)


def test_a_part_transformed_alone_equals_that_part_of_the_whole() -> None:
    stft = make_stft(44100, HOP_SECONDS)
    sound = noise(1, 20 * stft.hop)
    whole = forward_stft(sound, stft)
    part = forward_stft(sound[:, 5 * stft.hop : 14 * stft.hop], stft)
    np.testing.assert_array_equal(part, whole[:, 5 : 5 + part.shape[1]])
