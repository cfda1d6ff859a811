"""The sound that a silent film's sound is dreamed from: it follows cuts, motion, light and colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmdream.audio.bed import PictureMotion, make_bed

RATE = 48_000
SECONDS = np.arange(0, 10, 0.05) + 0.025
STILL = PictureMotion(SECONDS, np.zeros(200), np.full(200, 0.5), np.zeros(0), np.zeros(1))


def render(picture: PictureMotion, seconds: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(make_bed(picture, round(seconds * RATE), RATE, seed)), axis=1)


def level(sound: np.ndarray, first: float, last: float) -> float:
    return float(np.sqrt(np.mean(np.square(sound[:, round(first * RATE) : round(last * RATE)]))))


def test_it_is_as_long_as_asked_for_and_the_same_again():
    sound = render(STILL, 4.3)
    assert sound.shape == (2, round(4.3 * RATE))
    assert sound.dtype == np.float32
    assert np.abs(sound).max() < 1
    np.testing.assert_array_equal(sound, render(STILL, 4.3))
    assert (sound != render(STILL, 4.3, seed=1)).any()
    # A longer film begins as a shorter one.
    np.testing.assert_array_equal(sound, render(STILL, 9.0)[:, : sound.shape[1]])


def test_a_cut_and_a_start_of_motion_are_heard():
    speed = np.where((SECONDS > 6) & (SECONDS < 8), 1.0, 0.0)
    picture = replace(STILL, speed=speed, cuts=np.array([3.0]), warmth=np.zeros(2))
    assert picture.starts() == pytest.approx([6.0], abs=0.1)
    sound = render(picture)
    assert level(sound, 3.0, 3.1) > 2 * level(sound, 2.8, 2.95)
    assert level(sound, 6.0, 6.2) > 1.5 * level(sound, 5.5, 5.8)
    assert level(sound, 7.0, 7.8) > 1.1 * level(sound, 8.6, 9.4)


def test_a_film_that_stands_still_has_no_starts():
    assert not len(STILL.starts())
    jitter = replace(STILL, speed=1e-5 * np.random.default_rng(0).random(200))
    assert not len(jitter.starts())


def test_light_brings_air_and_warm_shots_hum_lower():
    dark, bright = (render(replace(STILL, light=np.full(200, light)), 2.0) for light in (0.0, 1.0))

    def share_above(sound: np.ndarray, hz: float) -> float:
        power = np.square(np.abs(np.fft.rfft(sound[0])))
        return float(power[round(hz * 2) :].sum() / power.sum())

    assert share_above(bright, 6000) > 2 * share_above(dark, 6000)
    warm, cold = (render(replace(STILL, warmth=np.array([hue])), 2.0) for hue in (0.9, -0.9))

    def find_tone(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound.mean(axis=0)))
        return float(power[160:900].argmax() + 160) / 2

    assert find_tone(cold) > 1.5 * find_tone(warm)
