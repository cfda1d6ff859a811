"""Style: canvas and back, Gram matrices, phases that fit together, and whole sounds."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import stft

from mmdream.audio.mastering import PEAK_CEILING, measure_peaks
from mmdream.audio.resynthesis import (
    OVERLAPPING_FRAMES,
    griffin_lim,
    project_spectra,
    stream_griffin_lim,
)
from mmdream.audio.source import ArraySource
from mmdream.audio.spectra import Stft
from mmdream.audio.style import (
    AudioStyleReport,
    MeteredSound,
    make_style_target,
    meter_sound,
    split_into_windows,
    style_source,
)
from mmdream.audio.texture import (
    AudioTextureModel,
    StyleGrid,
    compute_grams,
    gram_distances,
    sum_feature_products,
    trace_style_gradient,
)
from mmdream.core.errors import UserError
from mmdream.networks.network import Network
from mmdream.settings.passes import AudioStyleSettings
from tests.audio.conftest import make_music

RATE = 16_000


def make_rattle(seconds: float, rate: int = RATE, hz: float = 311.0) -> np.ndarray:
    """A buzzing tone that is struck nine times a second, float32 [1, sample]."""
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(3).standard_normal(len(t))
    tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 9))
    return (0.2 * (tone + 0.3 * noise) * np.exp(-12 * (t % (1 / 9))))[None].astype(np.float32)


def meter_samples(samples: np.ndarray, rate: int = RATE) -> MeteredSound:
    return meter_sound(ArraySource(samples, rate), "it")


@pytest.fixture(scope="module")
def style(melnet: Network) -> Callable[..., tuple[np.ndarray, AudioStyleReport]]:
    def run(content: np.ndarray, *styles: np.ndarray, rate: int = RATE, **settings: float):
        blocks: list[np.ndarray] = []
        others = [(ArraySource(each, rate), 1.0) for each in styles]
        report = style_source(
            ArraySource(content, rate), others, blocks.append, melnet, AudioStyleSettings(**settings)
        )
        return np.concatenate(blocks, axis=1), report

    return run


def measure_inconsistency(spectra: np.ndarray, stft: Stft) -> float:
    """How far spectra [channel, frame, bin] are from those of any sound: ||STFT(iSTFT(S)) - S|| / ||S||."""
    inner = slice(OVERLAPPING_FRAMES, -OVERLAPPING_FRAMES)
    change = (project_spectra(spectra, stft) - spectra)[:, inner]
    return float(np.linalg.norm(change) / max(float(np.linalg.norm(spectra[:, inner])), 1e-20))


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_the_canvas_of_a_sound_stands_for_its_own_amplitudes(rate: int):
    sound = meter_samples(make_music(rate, 0.6, channels=2) * [[1.0], [0.05]], rate)
    spectra = sound.read_spectra(0, 30)
    back = sound.grid.to_amplitudes(sound.read_canvas(0, 30), spectra, sound.level_factor)
    np.testing.assert_allclose(back, np.abs(spectra), rtol=2e-3, atol=1e-7)


def test_a_canvas_that_grew_reads_back_and_lies_where_the_sound_lies():
    sound = meter_samples(make_music(RATE, 0.6, channels=2) * np.array([[1.0], [0.0]], np.float32))
    spectra, canvas = sound.read_spectra(0, 30), sound.read_canvas(0, 30) + np.float32(0.7)
    grown = sound.grid.to_amplitudes(canvas, spectra, sound.level_factor)
    np.testing.assert_allclose(
        sound.grid.to_canvas(grown.astype(complex), sound.level_factor), canvas, atol=2e-3
    )
    above = grown[:, :, sound.grid.run_starts[0] :]
    assert np.square(above[1]).sum() < 1e-3 * np.square(above[0]).sum()


def test_what_lies_below_hearing_stays():
    sound = meter_samples(make_music(RATE, 0.6) + np.float32(0.3))
    spectra = sound.read_spectra(0, 20)
    grown = sound.grid.to_amplitudes(sound.read_canvas(0, 20) + 1, spectra, sound.level_factor)
    np.testing.assert_allclose(grown[..., 0], np.abs(spectra[..., 0]), rtol=1e-5)


@pytest.mark.parametrize(("first", "stop"), [(-1, 40), (-1, 861), (0, 5000), (-1, 862)])
def test_windows_cover_every_hop_once_and_hear_their_neighbours(first: int, stop: int):
    found = split_into_windows(first, stop)
    assert [w.first for w in found] == [first, *(w.stop for w in found[:-1])]
    assert found[-1].stop == stop
    for window in found:
        assert window.low <= window.first < window.stop
        assert window.high >= window.stop or stop - first < 64


def test_texture_comes_in_pieces_and_leaves_pauses_out(melnet: Network):
    sound = meter_samples(make_rattle(6.0))
    canvas = sound.read_canvas(0, sound.hops)
    on = AudioTextureModel(sound.grid, canvas.mean(axis=0), None, 0)
    ones = np.ones(len(canvas), np.float32)
    whole = compute_grams(on, [(canvas, ones)])
    half = len(canvas) // 2
    pieces = compute_grams(on, [(canvas[: half + 14], ones[: half + 14]), (canvas[half:], ones[half:])])
    assert (gram_distances(pieces, whole) < 1e-3 * gram_distances(whole, [0 * g for g in whole])).all()
    silence = np.zeros_like(canvas)
    joined, counts = np.concatenate((canvas, silence)), np.concatenate((ones, 0 * ones))
    paused = compute_grams(on, [(joined, counts)])
    # Filters of 15 hops look a little into the pause.
    assert (gram_distances(paused, whole) < 0.1 * gram_distances(whole, [0 * g for g in whole])).all()


def test_products_count_every_place_as_its_hop_counts():
    a = np.arange(12, dtype=np.float32).reshape(4, 1, 3)
    counts = np.repeat(np.array([1, 0, 0, 2], np.float32), 5)
    found, whole = sum_feature_products(a, counts)
    expected = np.outer(a[0, 0], a[0, 0]) + 2 * np.outer(a[3, 0], a[3, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert float(whole) == pytest.approx(3)


@pytest.mark.parametrize("keep_rhythm", [False, True])
def test_the_slope_agrees_with_differences(melnet: Network, keep_rhythm: bool):
    content = meter_samples(make_music(RATE, 1.5))
    styling = AudioStyleSettings(0.5, keep_rhythm)
    on, aim = make_style_target(content, [(meter_samples(make_rattle(1.5)), 1.0)], melnet, styling)
    was = content.read_canvas(0, content.hops)
    x = was + np.float32(0.1)
    counts, roll = np.ones(len(was), np.float32), np.int32(0)
    way = trace_style_gradient(on, content.grid, aim)
    gradient = np.asarray(way(x, was, counts, roll), np.float64)
    # Half a step along it: the mean of the slopes at both ends has to carry the same sign, and its size.
    step = (0.02 / np.abs(gradient).max() * gradient).astype(np.float32)
    ahead = np.asarray(way(x + step, was, counts, roll), np.float64)
    assert np.vdot(ahead, gradient) > 0.5 * np.vdot(gradient, gradient)
    back = np.asarray(way(x - step, was, counts, roll), np.float64)
    # The objective is smooth: what the slope does ahead and behind evens out.
    assert np.vdot(ahead + back, gradient) == pytest.approx(2 * np.vdot(gradient, gradient), rel=0.2)


def test_phases_that_fit_stay_and_others_come_to_fit():
    sound = meter_samples(make_music(44_100, 1.5), 44_100)
    spectra, stft = sound.read_spectra(-1, sound.hops + 2), sound.grid.stft
    assert measure_inconsistency(spectra, stft) < 1e-4
    same = griffin_lim(np.abs(spectra), spectra, stft)
    assert np.linalg.norm(same - spectra) < 0.02 * np.linalg.norm(spectra)
    draw = np.random.default_rng(0).random(spectra.shape)
    scattered = np.abs(spectra) * np.exp(2j * np.pi * draw).astype(np.complex64)
    before = measure_inconsistency(scattered, stft)
    assert measure_inconsistency(griffin_lim(np.abs(spectra), scattered, stft), stft) < 0.5 * before


def test_stretches_fit_together_as_well_as_one():
    sound = meter_samples(make_music(RATE, 3.0))
    stft = sound.grid.stft
    spectra = sound.read_spectra(-1, sound.hops + 2)
    magnitudes = np.abs(spectra) * np.float32(1 + 0.5 * np.sin(np.arange(spectra.shape[2]) / 9))
    whole = griffin_lim(magnitudes, spectra, stft)
    edges = [0, 5, 90, 91, 180, spectra.shape[1]]
    parts = [(magnitudes[:, a:b], spectra[:, a:b]) for a, b in pairwise(edges)]
    joined = np.concatenate(list(stream_griffin_lim(parts, stft)), axis=1)
    np.testing.assert_allclose(np.abs(joined), magnitudes, rtol=1e-3, atol=1e-6)
    assert measure_inconsistency(joined, stft) < 1.2 * measure_inconsistency(whole, stft)
    seam = slice(90 - 4 - OVERLAPPING_FRAMES, 91 + OVERLAPPING_FRAMES + 4)
    assert measure_inconsistency(joined[:, seam], stft) < 2 * measure_inconsistency(whole, stft)


@pytest.mark.parametrize(("seconds", "channels", "rate"), [(0.3, 1, 16_000), (23.0, 2, 8_000)])
def test_no_steps_give_the_content(style, seconds: float, channels: int, rate: int):
    content = make_music(rate, seconds, channels)
    result, _ = style(content, make_rattle(1.0, rate), rate=rate, steps=0)
    assert result.shape == content.shape
    assert np.linalg.norm(result - content) < 0.01 * np.linalg.norm(content)


def measure_chroma(samples: np.ndarray) -> np.ndarray:
    """Mean squared power of each of the twelve pitch classes."""
    hertz, _, found = stft(samples[0], RATE, nperseg=2048, noverlap=1536)
    classes = np.round(12 * np.log2(hertz[4:] / 440)).astype(int) % 12
    power = np.stack([np.square(np.abs(found[4:][classes == k])).sum(axis=0) for k in range(12)])
    return np.square(power).mean(axis=1)


@pytest.fixture(scope="module")
def results(style) -> dict[float, tuple[np.ndarray, AudioStyleReport]]:
    return {
        weight: style(make_music(RATE, 3.0), make_rattle(3.0), content_weight=weight, steps=40)
        for weight in (0.1, 30.0)
    }


def test_the_texture_comes_near_in_networks_that_were_climbed_and_in_others(results):
    content, model = meter_samples(make_music(RATE, 3.0)), meter_samples(make_rattle(3.0))
    result, report = results[0.1]
    assert max(report.style_left.values()) < 0.1
    middle = model.read_canvas(0, model.hops).mean(axis=0)
    other = AudioTextureModel(content.grid, middle, None, 9, filter_hops=(11,))
    aim = compute_grams(other, model.read_weighted_pieces())
    before, after = (
        gram_distances(compute_grams(other, s.read_weighted_pieces()), aim)
        for s in (content, meter_samples(result))
    )
    assert after < before / 2


def test_little_content_weight_takes_the_pitch_of_the_style_and_much_keeps_the_content_s(results):
    content, model = measure_chroma(make_music(RATE, 3.0)), measure_chroma(make_rattle(3.0))
    for weight, (result, _) in results.items():
        likeness = [np.corrcoef(measure_chroma(result), each)[0, 1] for each in (content, model)]
        assert (likeness[0] > likeness[1]) == (weight > 1), (weight, likeness)


def test_loudness_and_peak_are_the_content_s(results):
    for result, report in results.values():
        assert report.loudness_dream == pytest.approx(report.loudness_source, abs=0.5)
        assert measure_peaks(result).max() <= max(PEAK_CEILING, np.abs(make_music(RATE, 3.0)).max()) * 1.01


def test_rhythm_is_kept_on_demand(style):
    # Silences between the notes; the style hums on.
    content = make_music(RATE, 2.0) * (np.arange(2 * RATE) % RATE < RATE / 2).astype(np.float32)
    hum = make_rattle(2.0) * 0.2 + np.float32(0.1) * np.sin(np.arange(2 * RATE) / 9).astype(np.float32)
    settings: dict[str, float] = {"content_weight": 0.1, "steps": 20}

    def measure_envelope(samples: np.ndarray) -> np.ndarray:
        return np.log10(np.square(samples[0]).reshape(-1, RATE // 25).mean(axis=1) + 1e-6)

    free, kept = (
        np.corrcoef(
            measure_envelope(content), measure_envelope(style(content, hum, keep_rhythm=keep, **settings)[0])
        )[0, 1]
        for keep in (False, True)
    )
    assert kept > 0.95
    assert kept > free


def test_channels_that_are_alike_stay_alike_and_the_seed_alone_decides(style):
    mono = make_music(RATE, 1.0)
    content = np.concatenate((mono, -mono))
    first, again, other = (style(content, make_rattle(1.0), steps=4, seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.linalg.norm(first[0] + first[1]) < 0.02 * np.linalg.norm(first[0])


def test_styles_are_blended_by_their_shares(melnet: Network):
    content, a, b = (
        meter_samples(each) for each in (make_music(RATE, 1.0), make_rattle(1.0), make_rattle(1.0, hz=880))
    )
    both, _ = make_style_target(content, [(a, 3.0), (b, 1.0)], None, AudioStyleSettings())
    alone = [make_style_target(content, [(each, 1.0)], None, AudioStyleSettings())[0].mean for each in (a, b)]
    np.testing.assert_allclose(both.mean, 0.75 * alone[0] + 0.25 * alone[1], atol=1e-5)


def test_a_sound_without_a_texture_is_refused(style):
    good, silent, short = make_music(RATE, 1.0), np.zeros((1, RATE), np.float32), make_music(RATE, 0.1)
    broken = good.copy()
    broken[0, 5000] = np.nan
    for bad, word in ((silent, "silent"), (short, "0.25"), (good[:, :1], "0.25"), (broken, "finite number")):
        with pytest.raises(UserError, match=word):
            style(bad, good)
        with pytest.raises(UserError, match=word):
            style(good, bad)


@pytest.mark.parametrize(("name", "value"), [("content_weight", -1), ("content_weight", 1e9), ("steps", -1)])
def test_settings_out_of_range_are_refused(name: str, value: float):
    with pytest.raises(UserError, match="choose between"):
        AudioStyleSettings(**{name: value})


def test_runs_are_as_wide_at_every_rate():
    counts = [len(StyleGrid(rate).run_starts) for rate in (44_100, 48_000, 96_000)]
    assert max(counts) - min(counts) <= 2
