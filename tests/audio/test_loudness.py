"""Loudness against pyloudnorm, block by block."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
import soundfile

from mmdream.audio.loudness import (
    MAX_EXCESS_LU,
    QUIET_MARGIN_LU,
    LoudnessMeter,
    compute_channel_weights,
)


def feed_meter(sound: np.ndarray, rate: int, block: int = 10007, layout: str | None = None) -> LoudnessMeter:
    meter = LoudnessMeter(rate, sound.shape[0], layout)
    for start in range(0, sound.shape[1], block):
        meter.feed(sound[:, start : start + block])
    return meter


def make_swelling_noise(channels: int, rate: int, seconds: float = 3.0) -> np.ndarray:
    """Noise that swells, with a pause for the gates."""
    rng = np.random.default_rng(channels)
    t = np.arange(int(rate * seconds)) / rate
    swell = 0.3 * np.abs(np.sin(2 * t)) * (t < 0.7 * seconds) + 1e-4
    return (rng.standard_normal((channels, len(t))) * swell).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_loudness_is_that_of_pyloudnorm(rate: int, channels: int) -> None:
    sound = make_swelling_noise(channels, rate)
    expected = pyloudnorm.Meter(rate).integrated_loudness(sound.T.astype(np.float64))
    assert feed_meter(sound, rate).loudness() == pytest.approx(expected, abs=0.01)


def test_loudness_of_a_recording_is_that_of_pyloudnorm(data) -> None:
    samples, rate = soundfile.read(data / "sounds" / "strings.ogg", dtype="float32")
    expected = pyloudnorm.Meter(rate).integrated_loudness(samples)
    assert feed_meter(samples.T, rate).loudness() == pytest.approx(expected, abs=0.05)


def test_blocks_do_not_matter() -> None:
    sound = make_swelling_noise(2, 11025)
    whole = feed_meter(sound, 11025, sound.shape[1]).loudness()
    assert feed_meter(sound, 11025, 313).loudness() == pytest.approx(whole, abs=1e-6)


def test_the_low_frequency_channel_is_left_out_and_surround_weighs_more() -> None:
    np.testing.assert_array_equal(compute_channel_weights(6, "5.1(side)"), [1, 1, 1, 0, 1.41, 1.41])
    np.testing.assert_array_equal(compute_channel_weights(6, None), compute_channel_weights(6, "5.1"))
    sound = make_swelling_noise(6, 48000)
    five = np.delete(sound, 3, axis=0)
    assert feed_meter(sound, 48000).loudness() == pytest.approx(feed_meter(five, 48000).loudness())


def test_short_and_silent_sounds_are_metered_by_rms() -> None:
    short = np.full((1, 1000), 0.5, np.float32)
    assert feed_meter(short, 8000).loudness() == pytest.approx(20 * math.log10(0.5))
    assert feed_meter(np.zeros((2, 48000), np.float32), 48000).loudness() == -math.inf


@pytest.mark.parametrize("held", [0.0, 0.5])
def test_the_gain_found_brings_the_sound_to_the_target(held: float) -> None:
    """Also when a part of the sound is closed to the gain."""
    source = make_swelling_noise(2, 44100)
    dream = 0.3 * source[:, ::-1]
    meter = feed_meter(dream, 44100)
    share = (meter.block_seconds() >= held).astype(float)
    nepers = meter.find_gain_to(feed_meter(source, 44100), share)
    gain = np.where(np.arange(dream.shape[1]) >= held * 44100, np.exp(nepers), 1.0)
    found = feed_meter((dream * gain).astype(np.float32), 44100).loudness()
    assert found == pytest.approx(feed_meter(source, 44100).loudness(), abs=0.05)


def test_no_gain_where_nothing_is_open_to_it_or_heard() -> None:
    sound, silence = make_swelling_noise(1, 8000), np.zeros((1, 24000), np.float32)
    assert feed_meter(0.1 * sound, 8000).find_gain_to(feed_meter(sound, 8000), np.zeros(30)) == 0.0
    assert feed_meter(silence, 8000).find_gain_to(feed_meter(sound, 8000), np.ones(30)) == 0.0


def compute_allowed_loudness(source: LoudnessMeter) -> np.ndarray:
    """LUFS that each 400 ms of a dream may have."""
    return np.maximum(source.momentary_loudness() + MAX_EXCESS_LU, source.loudness() - QUIET_MARGIN_LU)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_blows_are_turned_down_and_what_is_not_one_is_left_alone(rate: int) -> None:
    at = np.arange(6 * rate)
    source = np.random.default_rng(0).normal(0, 0.05, (1, 6 * rate)).astype(np.float32)
    blow = np.where(np.abs(at - 2 * rate) < 0.1 * rate, 8.0, 1.0).astype(np.float32)
    before, loud = feed_meter(source, rate), feed_meter(source * blow, rate)
    assert np.max(loud.momentary_loudness() - compute_allowed_loudness(before)) > 5
    down = loud.measure_excess(before)
    gain = np.exp(-np.interp(at, loud.block_seconds() * rate, down)).astype(np.float32)
    after = feed_meter(source * blow * gain, rate)
    assert np.all(after.momentary_loudness() <= compute_allowed_loudness(before))
    assert not down[:12].any()
    assert not down[28:].any()
    assert down.max() < 1.5


def test_a_pause_may_be_filled_up_to_ten_units_under_the_whole() -> None:
    source, dream = (np.random.default_rng(0).normal(0, 0.1, (1, 32000)).astype(np.float32) for _ in range(2))
    source[:, 16000:] = 0
    before = feed_meter(source, 8000)
    dream[:, 16000:] *= 10 ** (-11 / 20)
    assert not feed_meter(dream, 8000).measure_excess(before).any()
    dream[:, 16000:] *= 10 ** (4 / 20)
    assert feed_meter(dream, 8000).measure_excess(before)[24:].min() > 0.2
    assert not feed_meter(dream, 8000).measure_excess(feed_meter(np.zeros_like(source), 8000)).any()


def test_the_level_ignores_pauses_and_direct_current() -> None:
    sound = make_swelling_noise(1, 44100)
    quiet = np.concatenate((sound, np.zeros_like(sound)), axis=1) + 0.3
    assert feed_meter(quiet, 44100).gated_rms() == pytest.approx(
        feed_meter(sound, 44100).gated_rms(), rel=0.02
    )
    rms = feed_meter(sound, 44100).gated_rms()
    assert feed_meter(sound, 44100).level_factor(-23.0) == pytest.approx(10 ** (-23 / 20) / rms)
    assert feed_meter(0 * sound, 44100).level_factor(-23.0) == 1.0


def test_momentary_loudness_follows_the_sound() -> None:
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * 48000) / 48000)[None]
    tone[:, :48000] = 0
    meter = LoudnessMeter(48000, 1)
    meter.feed(tone.astype(np.float32))
    found = meter.momentary_loudness()
    assert len(found) == 27
    assert np.all(found[:7] == -np.inf)
    np.testing.assert_allclose(found[11:], -3.01, atol=0.1)  # ITU-R BS.1770: a full-scale sine of 997 Hz.
    assert not len(LoudnessMeter(48000, 1).momentary_loudness())
