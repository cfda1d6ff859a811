"""What is invented, wide stereo, fitted phases, guides: each does what it says, and nothing at strength 0."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from mmdream.audio.chunk_dream import MAX_DISTANCE_DB, count_octaves
from mmdream.audio.dream import AudioDreamReport
from mmdream.audio.loudness import LoudnessMeter
from mmdream.audio.pitch import detect_pitch
from mmdream.audio.resynthesis import fit_dream_phases
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import HALF_WINDOW_HOPS, Stft, forward_stft, inverse_stft, make_stft
from mmdream.audio.synthesis import Excitation
from mmdream.core.errors import UserError
from mmdream.settings.recipe import AudioOptions
from mmdream.settings.schedule import Schedule
from mmdream.settings.targets import Targets, parse_layer, parse_target

from .conftest import QUICK, make_music

Dream = Callable[..., tuple[np.ndarray, AudioDreamReport]]
MANNERS = [AudioOptions(invent=1.0), AudioOptions(stereo="wide"), AudioOptions(phase="griffin-lim")]


@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_strength_zero_is_the_source_whatever_the_manner(dream: Dream, manner: AudioOptions) -> None:
    sound = make_music(22050, 1.5, channels=2)
    out, _ = dream(sound, 22050, Schedule(octaves=1, steps=2, strength=0.0), options=manner)
    np.testing.assert_allclose(out, sound, atol=1e-6)


@pytest.fixture(scope="module")
def plain_dream(dream: Dream) -> np.ndarray:
    return dream(make_music(22050, 7.0, channels=2), 22050, QUICK, 3)[0]


@pytest.mark.parametrize("manner", MANNERS, ids=str)
def test_one_seed_one_dream_of_the_source_s_length_and_loudness(
    dream: Dream, plain_dream: np.ndarray, manner: AudioOptions
) -> None:
    sound = make_music(22050, 7.0, channels=2)
    (first, report), (second, _) = (dream(sound, 22050, QUICK, 3, options=manner) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == sound.shape
    assert np.isfinite(first).all()
    assert report.loudness_dream == pytest.approx(report.loudness_source, abs=0.5)
    assert np.abs(first - plain_dream).max() > 1e-4


def test_silence_begins_to_sound_and_has_the_loudness_that_is_asked_for(dream: Dream) -> None:
    silence = np.zeros((1, 3 * 44100), np.float32)
    heard = []
    for name in ("dog", "rain"):
        out, report = dream(
            silence,
            44100,
            Schedule(),
            targets=Targets((parse_target(name),)),
            options=AudioOptions(1.0),
            loudness=-23.0,
        )
        assert report.loudness_dream == pytest.approx(-23, abs=0.5)
        assert report.true_peak <= -1
        assert report.objective_gain > 3  # The network hears more of the class in it.
        assert abs(out.mean()) < 1e-4
        assert np.abs(out[0, [0, -1]]).max() < 1e-3 * np.abs(out).max()  # No click at either end.
        meter = LoudnessMeter(44100, 1)
        meter.feed(out)
        heard.append(np.ptp(meter.momentary_loudness()))
    assert heard[0] > heard[1] + 3  # Barks come and go, rain does not.


def test_wide_channels_dream_apart_and_linked_ones_alike(dream: Dream) -> None:
    one = make_music(22050, 3.0)
    sound = np.concatenate((one, one))
    linked, _ = dream(sound, 22050, QUICK)
    wide, _ = dream(sound, 22050, QUICK, options=AudioOptions(stereo="wide"))
    np.testing.assert_allclose(linked[0], linked[1], atol=1e-6)
    apart = wide[0] - wide[1]
    assert np.square(apart).sum() > 0.01 * np.square(wide[0] - one[0]).sum()


def test_a_guide_leads_towards_itself(dream: Dream) -> None:
    rate = 22050
    sound = make_music(rate, 3.0)
    clicks = np.zeros((1, 2 * rate), np.float32)
    clicks[0, :: rate // 8] = 0.5
    schedule, guided = Schedule(octaves=2, steps=6, depth=0.3), {}
    for name, guide in (("clicks", clicks), ("music", sound)):
        wishes = Targets((parse_layer("c4"),))
        guided[name], report = dream(sound, rate, schedule, targets=wishes, guide=ArraySource(guide, rate))
        assert report.objective_gain > 1.01
    assert np.abs(guided["clicks"] - guided["music"]).max() > 1e-2


@pytest.mark.parametrize("measure", ["mean", "cosine"])
def test_channels_are_climbed_by_every_measure(dream: Dream, measure: str) -> None:
    from mmdream.settings.targets import parse_channel

    sound, targets = make_music(22050, 2.0), (parse_channel("c4:3"),)
    (plain, _), (other, _) = (
        dream(sound, 22050, QUICK, targets=Targets(targets, how))
        for how in ("energy", measure)  # type: ignore[arg-type]
    )
    assert np.isfinite(other).all()
    assert np.abs(other - sound).max() > 1e-3
    assert np.abs(other - plain).max() > 1e-3


def test_a_gain_goes_no_farther_than_it_may(dream: Dream) -> None:
    sound = make_music(16000, 3.0)
    strong, _ = dream(sound, 16000, Schedule(octaves=3, steps=40))
    bins = [np.abs(forward_stft(x, make_stft(16000))[0]) for x in (sound, strong)]
    floor = 1e-4 * bins[0].max()
    apart = 20 * np.log10(np.maximum(bins[0], floor) / np.maximum(bins[1], floor))
    assert 2 < np.sqrt(np.square(apart).mean(axis=1)).mean() < MAX_DISTANCE_DB + 2


def test_fewer_octaves_fit_when_they_lie_far_apart() -> None:
    assert count_octaves(4, 1.4) == 4
    assert count_octaves(12, 1.4) == 6
    assert count_octaves(12, 2.0) == 3
    assert count_octaves(1, 4.0) == 1


def test_an_excitation_has_power_one_and_the_pitch_that_is_asked_for() -> None:
    stft = make_stft(44100)
    pitch = np.full(200, 500.0)
    for hz in (0.0, 500.0):
        noise = Excitation(stft, 0)
        parts = [
            noise.next_spectra(first, pitch[first : first + 50] * (hz > 0)) for first in range(0, 200, 50)
        ]
        found = np.concatenate(parts)
        # Pulses between two samples are softer at the top.
        assert np.square(np.abs(found[:, : stft.n_bins // 4])).mean() == pytest.approx(1.0, rel=0.1)
        power = np.square(np.abs(found)).mean(axis=0)
        on, between = (
            power[np.rint((np.arange(2, 10) + at) * 500 / stft.frequencies[1]).astype(int)] for at in (0, 0.5)
        )
        assert (on.mean() > 2 * between.mean()) == bool(hz)
    again = Excitation(stft, 0)
    np.testing.assert_allclose(again.next_spectra(0, pitch)[:150], found[:150], atol=1e-3)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("hz", [110.0, 440.0, 1000.0])
def test_the_pitch_of_a_tone_is_found(rate: int, hz: float) -> None:
    t = np.arange(rate) / rate
    tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 4))
    stft = make_stft(rate)
    power = np.square(np.abs(forward_stft(tone[None].astype(np.float32), stft)[0]))
    found, _ = detect_pitch(power, stft)
    assert (found > 0).mean() > 0.9
    assert np.median(found[found > 0]) == pytest.approx(hz, rel=0.08)


def measure_inconsistency(frames: np.ndarray, stft: Stft) -> float:
    """How far a spectrogram is from that of any sound, in magnitude."""
    again = forward_stft(inverse_stft(frames, stft), stft)
    inner = frames[:, 2 * HALF_WINDOW_HOPS - 1 : 2 * HALF_WINDOW_HOPS - 1 + again.shape[1]]
    return float(np.linalg.norm(np.abs(again) - np.abs(inner)) / np.linalg.norm(inner))


def test_fitted_phases_agree_better_and_stretches_fit_together() -> None:
    stft = make_stft(16000)
    source = forward_stft(make_music(16000, 4.0), stft)
    rng = np.random.default_rng(0)
    dream = (source * np.exp(1.5j * rng.standard_normal(source.shape))).astype(np.complex64)
    cuts = [0, 100, 103, 220, source.shape[1]]
    parts = [(source[:, a:b], dream[:, a:b]) for a, b in itertools.pairwise(cuts)]
    found = list(fit_dream_phases(iter(parts), stft))
    whole, joined = (np.concatenate(frames, axis=1) for frames in zip(*found, strict=True))
    np.testing.assert_array_equal(whole, source)
    np.testing.assert_allclose(np.abs(joined), np.abs(dream), rtol=1e-3, atol=1e-5)
    assert measure_inconsistency(joined, stft) < 0.6 * measure_inconsistency(dream, stft)


@pytest.mark.parametrize("wrong", [{"invent": 2.0}, {"stereo": "mono"}, {"phase": "random"}])
def test_a_manner_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=str(next(iter(wrong)))):
        AudioOptions(**wrong)  # type: ignore[arg-type]
