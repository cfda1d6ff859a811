"""True peaks and the limiter that holds them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from mmdream.audio.mastering import TruePeakMeter, limit_peaks
from mmdream.audio.source import ArraySource, read_padded


def measure_peak(sound: np.ndarray, block: int = 3001) -> float:
    meter = TruePeakMeter(sound.shape[0])
    for start in range(0, sound.shape[1], block):
        meter.feed(sound[:, start : start + block])
    return meter.peak


def measure_resampled_peak(sound: np.ndarray) -> float:
    """Another interpolator, eight times as dense."""
    return float(np.abs(scipy.signal.resample_poly(sound, 8, 1, axis=1, window=("kaiser", 9.0))).max())


def limit_sound(sound: np.ndarray, rate: int, ceiling: float, block: int = 7001) -> np.ndarray:
    source = ArraySource(sound, rate)
    n = sound.shape[1]
    return np.concatenate(
        [
            limit_peaks(lambda a, b: read_padded(source, a, b), at, min(at + block, n), rate, ceiling)
            for at in range(0, n, block)
        ],
        axis=1,
    )


def make_peaky_sound(rate: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    t = np.arange(rate) / rate
    low = scipy.signal.lfilter(*scipy.signal.butter(4, 0.5), rng.standard_normal((2, rate)))
    return (0.2 * low + np.sin(2 * np.pi * 3 * t) ** 8 * np.sin(2 * np.pi * 997 * t)).astype(np.float32)


def test_a_sine_peaks_between_its_samples() -> None:
    """A quarter of the rate, 45 degrees off: every sample 3 dB under the peak (BS.1770)."""
    sine = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4).astype(np.float32)[None]
    faded = sine * np.hanning(4000).astype(np.float32)
    assert np.abs(faded).max() < 0.72
    assert measure_peak(faded) == pytest.approx(1.0, abs=0.005)


def test_peaks_agree_with_a_denser_interpolator_however_the_blocks_fall() -> None:
    sound = make_peaky_sound(44100)
    assert measure_peak(sound) == pytest.approx(measure_resampled_peak(sound), rel=0.01)
    assert measure_peak(sound, 64) == pytest.approx(measure_peak(sound, 44100), rel=1e-6)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_limiter_holds_true_peaks(rate: int) -> None:
    sound = make_peaky_sound(rate)
    ceiling = 10 ** (-1 / 20)
    assert measure_peak(sound) > 1.1 * ceiling
    out = limit_sound(sound, rate, ceiling)
    assert measure_peak(out) <= ceiling
    assert measure_resampled_peak(out) <= 1.01 * ceiling


def test_under_the_ceiling_nothing_changes() -> None:
    sound = make_peaky_sound(44100)
    np.testing.assert_array_equal(limit_sound(sound, 44100, measure_peak(sound)), sound)


def test_only_the_neighbourhood_of_a_peak_changes_and_blocks_do_not_show() -> None:
    sound = 0.1 * make_peaky_sound(44100)
    sound[:, 22050] = 2.0
    out = limit_sound(sound, 44100, 0.9, block=44100)
    far = np.abs(np.arange(44100) - 22050) > 0.025 * 44100
    np.testing.assert_array_equal(out[:, far], sound[:, far])
    np.testing.assert_allclose(limit_sound(sound, 44100, 0.9, block=911), out, atol=1e-6)
