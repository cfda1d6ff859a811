"""The transform loses nothing; the bands that a network hears are the same at any rate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mmdream.audio.source import ArraySource, read_padded
from mmdream.audio.spectra import (
    HALF_WINDOW_HOPS,
    HOP_SECONDS,
    forward_stft,
    group_bins,
    inverse_stft,
    make_band_interpolation,
    make_network_filterbank,
    make_network_stft,
    make_stft,
    network_band_edges,
    normalize_bands,
)
from mmdream.networks.card import AudioInput
from mmdream.networks.registry import load_card

RATES = [8000, 16000, 22050, 44100, 48000, 96000]


def make_noise(channels: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, n)).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [1, 100, 479, 48001])
def test_untouched_spectra_return_every_sample(rate: int, n: int) -> None:
    sound = make_noise(2, n)
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
    sound = make_noise(1, 20 * stft.hop)
    whole = forward_stft(sound, stft)
    part = forward_stft(sound[:, 5 * stft.hop : 14 * stft.hop], stft)
    np.testing.assert_array_equal(part, whole[:, 5 : 5 + part.shape[1]])


@pytest.fixture(scope="module")
def front() -> AudioInput:
    found = load_card("melnet").input
    assert isinstance(found, AudioInput)
    return found


@pytest.mark.parametrize("rate", RATES)
def test_white_power_reads_alike_in_every_band_below_nyquist(front: AudioInput, rate: int) -> None:
    stft = make_stft(rate, front.hop_seconds)
    bands = np.ones((1, stft.n_bins), np.float32) @ make_network_filterbank(front, stft)
    below = network_band_edges(front)[1:-1] <= rate / 2
    np.testing.assert_allclose(bands[0, below], 1.0, rtol=1e-5)
    assert not bands[0, ~below].any()
    assert below.any()


@pytest.mark.parametrize("rate", RATES)
def test_a_level_gain_stays_level_in_every_bin(front: AudioInput, rate: int) -> None:
    weights = make_band_interpolation(network_band_edges(front), make_stft(rate, front.hop_seconds))
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-5)


def test_a_sine_lands_in_its_band_at_any_rate(front: AudioInput) -> None:
    centre = network_band_edges(front)[1:-1]
    found = []
    for rate in RATES:
        stft = make_stft(rate, front.hop_seconds)
        power = np.zeros((1, stft.n_bins), np.float32)
        power[0, np.argmin(np.abs(stft.frequencies - 1500.0))] = 1.0
        found.append(int(np.argmax(power @ make_network_filterbank(front, stft))))
    assert max(found) - min(found) <= 1
    assert centre[found[0]] == pytest.approx(1500, rel=0.06)


def test_groups_of_bins_hear_what_bins_hear(front: AudioInput) -> None:
    stft = make_stft(44100, front.hop_seconds)
    groups = group_bins(stft, network_band_edges(front))
    assert groups[0] == 0
    assert len(groups) < stft.n_bins / 3
    power = np.random.default_rng(0).exponential(1.0, (50, stft.n_bins)).astype(np.float32)
    bank = make_network_filterbank(front, stft)
    widths = np.diff(np.append(groups, stft.n_bins))[:, None]
    coarse = np.add.reduceat(power, groups, axis=1) @ (np.add.reduceat(bank, groups) / widths)
    difference = normalize_bands(coarse, front) - normalize_bands(power @ bank, front)
    # Less than the attack that the network was trained against.
    assert np.abs(difference).max() < 0.25


def compute_network_bands(front: AudioInput, sound: np.ndarray, rate: int) -> np.ndarray:
    """What a network takes of a mono sound, float32 [column, band]; columns centred on multiples of a hop."""
    stft = make_network_stft(front, rate)
    reach = stft.window // 2
    found = forward_stft(np.pad(sound, (reach, reach))[None], stft)[0]
    return normalize_bands(np.abs(found) ** 2 @ make_network_filterbank(front, stft), front)


def make_chords(rate: int, seconds: float = 1.0) -> np.ndarray:
    """Tones and noise over the whole range, float32 [sample], peak 1."""
    rng, t = np.random.default_rng(7), np.arange(round(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * hz * t + hz) for hz in (300, 1100, 2500, 3300))
    sound = tones * np.exp(-3 * (t % 0.3)) + 0.3 * rng.standard_normal(len(t))
    return np.asarray(sound / np.abs(sound).max(), np.float32)


@pytest.fixture(scope="module")
def librosas() -> dict[str, np.ndarray]:
    """What librosa 0.11 makes of `make_chords`: importing its features compiles for half a minute.

    `decibels`, [column, band from the 70th]: `power_to_db(feature.melspectrogram(y=make_chords(22050),
    sr=22050, n_fft=441, hop_length=200, n_mels=128))`; `magnitudes`, [column, bin]:
    `abs(stft(make_chords(44100, 0.2), n_fft=512, hop_length=128, window="hann"))`.
    """
    with np.load(Path(__file__).parent / "librosa_bands.npz") as arrays:
        return {name: arrays[name].astype(np.float64) for name in arrays.files}


def test_decibels_are_librosas(librosas: dict[str, np.ndarray]) -> None:
    """DreamSound's own calls, where its bands are wide enough to hold bins of 50 Hz."""
    front = load_card("vgg19_mel").input
    theirs = (librosas["decibels"] - front.mu[0]) / front.divisor
    ours = compute_network_bands(front, make_chords(22050), 22050)
    columns = min(len(theirs), len(ours))
    apart = np.abs(theirs[:columns] - ours[:columns, 70:]) * front.divisor
    assert np.median(apart) < 0.3  # dB
    assert np.quantile(apart, 0.95) < 1.5


def test_linear_power_is_audio_deep_dreams(librosas: dict[str, np.ndarray]) -> None:
    """1 - (|S| / max) ** (1/8), times 255, less 127.5; the maximum is the sound's own here."""
    front = dataclasses.replace(load_card("residual_spec").input, floor=1e-15)
    sound, magnitude = make_chords(44100, 0.2), librosas["magnitudes"]
    root = (magnitude / magnitude.max()) ** (1 / 8)
    theirs = (1 - root) * 255 - 127.5
    loudest = 128 / magnitude.max()  # a full sine reads half the window's sum
    ours = compute_network_bands(front, sound * np.float32(loudest), 44100)
    columns = min(len(theirs), len(ours))
    # The last column but one is padded otherwise.
    np.testing.assert_allclose(ours[: columns - 3], theirs[: columns - 3], atol=0.5)


@pytest.mark.parametrize("name", ["melnet", "vgg19_mel", "residual_spec", "conv5_spec"])
@pytest.mark.parametrize("rate", [8000, 48000])
def test_bands_above_nyquist_hold_the_floor(name: str, rate: int) -> None:
    front = load_card(name).input
    assert isinstance(front, AudioInput)
    bands = compute_network_bands(front, make_chords(rate), rate)
    assert bands.shape[1] == front.bands
    assert np.isfinite(bands).all()
    above = network_band_edges(front)[1:-1] > rate / 2
    nothing = normalize_bands(np.zeros((1, front.bands), np.float32), front)
    np.testing.assert_allclose(bands[:, above], np.broadcast_to(nothing, bands.shape)[:, above])


@pytest.mark.parametrize("name", ["melnet", "vgg19_mel", "residual_spec"])
def test_a_sound_is_heard_alike_at_any_rate(name: str) -> None:
    front = load_card(name).input
    assert isinstance(front, AudioInput)
    low, high = (compute_network_bands(front, make_chords(rate, 2.0) * 0.1, rate) for rate in (22050, 44100))
    below = (network_band_edges(front)[1:-1] > 600) & (network_band_edges(front)[1:-1] < 4000)
    means = [np.median(x[:, below]) for x in (low, high)]
    scale = np.abs(np.ptp(low[:, below]))
    assert abs(means[0] - means[1]) < 0.1 * scale


def test_linear_bands_at_the_networks_own_rate_are_its_bins() -> None:
    front = load_card("conv5_spec").input
    assert isinstance(front, AudioInput)
    bank = make_network_filterbank(front, make_network_stft(front, 8000))
    np.testing.assert_allclose(bank, np.eye(129), atol=1e-6)


def test_a_gain_is_heard_as_a_gain() -> None:
    """Twice the amplitude: ln 4 nepers of power, 6.02 dB, 4 ** exponent."""
    power = np.full((1, 4), 0.01, np.float32)
    for kind, expected in (("log-mel", np.log(4)), ("db-mel", 20 * np.log10(2))):
        front = AudioInput(kind, 0.04, 0.01, 4, 0.0, 4000.0, 1e-12, 1.0, -23.0, (0.0,))
        assert (normalize_bands(4 * power, front) - normalize_bands(power, front))[0, 0] == pytest.approx(
            expected, rel=1e-4
        )
    front = dataclasses.replace(front, kind="power", exponent=0.25)
    assert (normalize_bands(4 * power, front) / normalize_bands(power, front))[0, 0] == pytest.approx(
        4**0.25, rel=1e-4
    )
