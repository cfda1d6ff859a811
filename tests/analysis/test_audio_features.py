"""What a schedule follows of a sound: where it is, how much, and the same however the sound comes."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.analysis.features import STEP_SECONDS, AudioFeatures, normalize_feature

ALL = ("loudness", "onset", "pitch", "bass")


def measure_features(sound: np.ndarray, rate: int, block: int = 65536) -> dict[str, np.ndarray]:
    features = AudioFeatures(rate, ALL)
    for at in range(0, sound.shape[1], block):
        features.feed(sound[:, at : at + block])
    return features.finish()


def make_noise(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    shape = channels, round(seconds * rate)
    return (0.01 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_a_click_is_an_onset_and_loud_at_its_time(rate: int):
    sound = make_noise(20.0, rate)
    sound[:, round(13.3 * rate) : round(13.31 * rate)] *= 50
    found = measure_features(sound, rate)
    for name in ("onset", "loudness"):
        assert len(found[name]) == 400
        assert abs((int(found[name].argmax()) + 0.5) * STEP_SECONDS - 13.3) <= 0.05
        assert found[name].max() > 4 * np.percentile(found[name], 99)


def test_any_blocks_give_the_same():
    rng = np.random.default_rng(1)
    sound = make_noise(25.0, 22050, 2) * rng.uniform(0, 20, (1, 25 * 22050)).astype(np.float32)
    whole = measure_features(sound, 22050, sound.shape[1])
    for block in (1000, 22051):
        pieces = measure_features(sound, 22050, block)
        for name in ALL:
            assert np.array_equal(pieces[name], whole[name])


def test_a_sound_is_measured_as_if_in_one_piece():
    """A stretch of the grid begins after 8 s: no seam shows there."""
    t = np.arange(20 * 44100) / 44100
    sound = (0.3 * np.sin(2 * np.pi * 330 * t))[None].astype(np.float32)
    found = measure_features(sound, 44100)
    assert np.ptp(found["loudness"]) < 1e-3
    assert found["onset"].max() < 0.1
    assert np.ptp(found["pitch"]) < 0.01


def test_loudness_doubles_with_ten_decibels_and_bass_is_low():
    rate = 44100
    t = np.arange(4 * rate) / rate
    soft, high = 0.01 * np.sin(2 * np.pi * 60 * t), 0.01 * np.sin(2 * np.pi * 2000 * t)
    quiet, loud, low = (
        measure_features(s[None].astype(np.float32), rate) for s in (high, high * np.sqrt(10), soft)
    )
    ratio = np.median(loud["loudness"]) / np.median(quiet["loudness"])
    assert ratio == pytest.approx(2, rel=0.01)
    assert np.median(low["bass"]) > 5 * np.median(quiet["bass"])
    assert np.median(low["loudness"]) < 0.5 * np.median(quiet["loudness"])  # The ear hears it less.


def test_the_pitch_follows_a_melody_through_noise_and_is_held_in_pauses():
    rate, length = 44100, round(0.4 * 44100)
    rng = np.random.default_rng(4)
    hz = np.repeat(220 * 2 ** (rng.integers(-12, 13, 40) / 12), length)
    phase = np.cumsum(hz) / rate
    tone = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 12)) * 0.1
    sound = (tone[None] + make_noise(16.0, rate)).astype(np.float32)
    found = measure_features(sound, rate)["pitch"]
    truth = np.log2(hz[:: round(STEP_SECONDS * rate)])[: len(found)]
    assert np.corrcoef(found, truth)[0, 1] > 0.95
    sound[:, 8 * rate : 10 * rate] *= 1e-4
    held = measure_features(sound, rate)["pitch"][165:195]
    assert np.ptp(held) == 0


@pytest.mark.parametrize("name", ["onset", "loudness", "bass", "pitch"])
def test_steady_noise_and_silence_have_nothing_to_follow(name: str):
    for sound in (
        make_noise(12.0, 44100),
        np.zeros((2, 12 * 44100), np.float32),
        np.zeros((1, 0), np.float32),
    ):
        assert not len(normalize_feature(name, 0.0, measure_features(sound, 44100)[name]).values)


def test_what_is_not_a_number_counts_as_silence():
    sound = make_noise(3.0, 44100)
    sound[0, 5000], sound[0, 6000] = np.nan, np.inf
    assert all(np.isfinite(values).all() for values in measure_features(sound, 44100).values())
    assert all(len(values) == 1 for values in measure_features(make_noise(0.001, 44100), 44100).values())
