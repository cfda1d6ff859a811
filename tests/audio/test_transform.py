"""What clips go through: lengths, pitches, the place between channels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.audio.transform import transform_clip
from mmdream.core.errors import UserError
from mmdream.settings.ouroboros import parse_transform

RATE = 44_100


def make_sine(hz: float, seconds: float = 2.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(RATE * seconds)) / RATE)).astype(np.float32)[None]


def make_noise(channels: int, n: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal((channels, n))).astype(np.float32)


def measure_pitch(samples: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))
    return float(power.argmax() * RATE / samples.shape[1])


@pytest.mark.parametrize("factor", [0.5, 0.95, 1.3, 2.0])
def test_stretching_changes_the_length_by_the_factor_and_keeps_pitch_and_level(factor: float) -> None:
    stretched = transform_clip(make_sine(441.0), RATE, f"stretch={factor}")
    assert stretched.dtype == np.float32
    assert stretched.shape == (1, round(2 * RATE * factor))
    assert measure_pitch(stretched) == pytest.approx(441, abs=1)
    middle = stretched[:, RATE // 4 : -RATE // 4]
    assert np.abs(middle).max() == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("n", [1, 500, 2049, 50_001])
def test_stretching_by_one_gives_every_sample_back(n: int) -> None:
    samples = make_noise(2, n)
    np.testing.assert_allclose(transform_clip(samples, RATE, "stretch=1"), samples, atol=1e-6)


def test_an_attack_stays_an_attack_when_it_is_stretched_nine_times() -> None:
    clicks = np.zeros((1, 2 * RATE), np.float32)
    clicks[0, RATE // 2 :: RATE // 2] = 0.5
    for _ in range(9):
        clicks = transform_clip(clicks, RATE, "stretch=0.95")
    energy = np.square(clicks[0])
    loudest = np.sort(energy.reshape(-1)[: len(energy) // 64 * 64].reshape(-1, 64).sum(1))[::-1]
    # Three clicks; a phase vocoder without locking leaves under 0.3 of them in their sixteen places.
    assert loudest[:48].sum() > 0.7 * energy.sum()


def test_a_shift_moves_every_frequency_by_as_many_hz() -> None:
    both = make_sine(300) + make_sine(900)
    for hz in (250, -123):
        power = np.abs(np.fft.rfft(transform_clip(both, RATE, f"shift={hz}")[0]))
        found = np.sort(np.argsort(power)[-2:]) * RATE / both.shape[1]
        np.testing.assert_allclose(found, [300 + hz, 900 + hz], atol=0.6)


def test_what_is_shifted_past_zero_or_half_the_rate_does_not_come_back() -> None:
    assert transform_clip(make_sine(300), RATE, "shift=-500").std() < 1e-3
    assert transform_clip(make_sine(20_000), RATE, "shift=5000").std() < 1e-3


@pytest.mark.parametrize("semitones", [-12, -0.5, 3, 7])
def test_pitch_moves_by_semitones_and_keeps_the_length(semitones: float) -> None:
    moved = transform_clip(make_sine(440), RATE, f"pitch={semitones}")
    assert moved.shape == (1, 2 * RATE)
    assert measure_pitch(moved) == pytest.approx(440 * 2 ** (semitones / 12), abs=1)


@pytest.mark.parametrize("how", ["stretch=0.9", "pitch=-2", "shift=200"])
def test_a_sound_keeps_its_place_between_the_channels(how: str) -> None:
    one = make_noise(1, RATE)
    moved = transform_clip(np.concatenate((one, 0.25 * one, 0 * one)), RATE, how)
    np.testing.assert_allclose(moved[1], 0.25 * moved[0], atol=1e-6)
    assert not moved[2].any()


def test_none_changes_nothing_and_all_are_the_same_again() -> None:
    samples = make_noise(2, 30_000)
    np.testing.assert_array_equal(transform_clip(samples, RATE, "none"), samples)
    for how in ("stretch=1.1", "pitch=1", "shift=10"):
        np.testing.assert_array_equal(transform_clip(samples, RATE, how), transform_clip(samples, RATE, how))


@pytest.mark.parametrize("text", ["", "stretch", "stretch=", "stretch=long", "faster=2", "none=1", "=3"])
def test_what_cannot_be_read_is_refused_with_what_can(text: str) -> None:
    with pytest.raises(UserError, match=r"write none, stretch=0\.95, shift=HZ or pitch=SEMITONES"):
        parse_transform(text)


@pytest.mark.parametrize(
    "text", ["stretch=0", "stretch=nan", "stretch=9", "shift=1e6", "pitch=-25", "pitch=inf"]
)
def test_amounts_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="choose between"):
        parse_transform(text)
