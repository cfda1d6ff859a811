"""The bands that a network hears, at any sample rate."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.networks.card import MelInput, card
from mmdream.sound.mel import bin_groups, centres_hz, filter_bank, heard, spread
from mmdream.sound.stft import stft_for

RATES = [8000, 16000, 22050, 44100, 48000, 96000]


@pytest.fixture(scope="module")
def front() -> MelInput:
    found = card("melnet").input
    assert isinstance(found, MelInput)
    return found


@pytest.mark.parametrize("rate", RATES)
def test_white_power_reads_alike_in_every_band_below_nyquist(front: MelInput, rate: int) -> None:
    stft = stft_for(rate, front.hop_seconds)
    bands = np.ones((1, stft.n_bins), np.float32) @ filter_bank(front, stft)
    below = centres_hz(front)[1:-1] <= rate / 2
    np.testing.assert_allclose(bands[0, below], 1.0, rtol=1e-5)
    assert not bands[0, ~below].any()
    assert below.any()


@pytest.mark.parametrize("rate", RATES)
def test_a_level_gain_stays_level_in_every_bin(front: MelInput, rate: int) -> None:
    weights = spread(front, stft_for(rate, front.hop_seconds))
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-5)


def test_a_sine_lands_in_its_band_at_any_rate(front: MelInput) -> None:
    centre = centres_hz(front)[1:-1]
    found = []
    for rate in RATES:
        stft = stft_for(rate, front.hop_seconds)
        power = np.zeros((1, stft.n_bins), np.float32)
        power[0, np.argmin(np.abs(stft.hz - 1500.0))] = 1.0
        found.append(int(np.argmax(power @ filter_bank(front, stft))))
    assert max(found) - min(found) <= 1
    assert centre[found[0]] == pytest.approx(1500, rel=0.06)


def test_groups_of_bins_hear_what_bins_hear(front: MelInput) -> None:
    stft = stft_for(44100, front.hop_seconds)
    groups = bin_groups(front, stft)
    assert groups[0] == 0
    assert len(groups) < stft.n_bins / 3
    power = np.random.default_rng(0).exponential(1.0, (50, stft.n_bins)).astype(np.float32)
    bank = filter_bank(front, stft)
    widths = np.diff(np.append(groups, stft.n_bins))[:, None]
    coarse = np.add.reduceat(power, groups, axis=1) @ (np.add.reduceat(bank, groups) / widths)
    difference = heard(coarse, front) - heard(power @ bank, front)
    # Less than the attack that the network was trained against.
    assert np.abs(difference).max() < 0.25
