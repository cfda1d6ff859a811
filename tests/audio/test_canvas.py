"""The canvas: its gradient is one, an ascent climbs, events are what it climbs to."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.ascent.engine import AscentProblem, ascend
from mmdream.ascent.objectives import class_evidence, squared_deviation, temporal_contrast
from mmdream.audio.canvas import MAX_GAIN, MIN_GAIN, smooth_gradient, soft_limit
from mmdream.audio.frontend import AudioFrontend, SpectrogramSlice, get_frontend
from mmdream.audio.gradient import make_gradient, measure_energies
from mmdream.networks.framework import tf
from mmdream.networks.network import Network


@pytest.fixture(scope="module")
def frontend(melnet: Network) -> AudioFrontend:
    return get_frontend(melnet, 44100)


def make_power(frontend: AudioFrontend, hops: int = 64) -> SpectrogramSlice:
    rng = np.random.default_rng(0)
    found = (1e-4 * rng.exponential(1.0, (hops, len(frontend.group_starts)))).astype(np.float32)
    return SpectrogramSlice(found, np.arange(hops, dtype=np.float32))


def test_contrast_gradient_agrees_with_central_differences() -> None:
    """A toy network (one convolution), in float32, hence wide differences."""
    rng = np.random.default_rng(1)
    kernel = tf.constant(rng.standard_normal((3, 3, 1, 4)), tf.float32)
    x = rng.standard_normal((1, 40, 8, 1)).astype(np.float32)
    way = rng.standard_normal(x.shape).astype(np.float32)

    def value(x: tf.Tensor) -> tf.Tensor:
        a = tf.nn.silu(tf.nn.conv2d(x, kernel, 1, "SAME"))
        # The floor under quiet windows is held back from the gradient, hence the tolerance.
        return temporal_contrast([a], [tf.linspace(0.5, 1.5, 40)], tf.constant(0.5), tf.constant(0.1))

    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = value(given)
    along = float(tf.reduce_sum(tape.gradient(found, given) * way))
    difference = float(value(tf.constant(x + 0.01 * way)) - value(tf.constant(x - 0.01 * way))) / 0.02
    assert along == pytest.approx(difference, rel=0.05)


def test_a_standing_sound_has_no_contrast() -> None:
    standing = tf.ones((1, 50, 4, 3)) * tf.random.stateless_uniform((4, 3), (0, 1))
    assert float(tf.reduce_max(squared_deviation(standing, tf.constant(0.3)))) < 1e-10


def test_target_rises_with_the_wanted_class_only() -> None:
    logits = np.zeros((5, 4), np.float32)
    more, other = logits.copy(), logits.copy()
    more[:, 1] += 1
    other[:, 2] += 1
    low, plain, high = (class_evidence(tf.constant(x), (0, 1), 0.5).numpy() for x in (other, logits, more))
    assert plain.shape == (5,)
    assert np.all(low < plain)
    assert np.all(plain < high)


@pytest.mark.parametrize("depth", [0.0, 0.15, 0.6, 1.0])
def test_the_slope_climbs_and_has_the_canvas_shape(frontend: AudioFrontend, depth: float) -> None:
    heard, start = make_power(frontend), np.zeros((64, 64), np.float32)
    gradient = make_gradient(frontend, heard, depth)(start, 0)
    assert gradient.shape == start.shape
    assert gradient.dtype == np.float32
    assert np.isfinite(gradient).all()
    canvas = AscentProblem(
        start,
        0.05,
        lambda x, _: smooth_gradient(make_gradient(frontend, heard, depth)(x, 0), 1.5),
        lambda x: x,
    )
    gained = heard.power * np.exp(2 * soft_limit(ascend(canvas, 6)) @ frontend.band_to_group)
    rungs = (int(np.floor(3 * depth + 0.5)),)
    before, after = (
        measure_energies(frontend, SpectrogramSlice(x.astype(np.float32), heard.positions), rungs, 0, 64)
        for x in (heard.power, gained)
    )
    assert after[0] > 1.2 * before[0]


def test_a_rolled_slope_is_the_slope_moved_back(frontend: AudioFrontend) -> None:
    """Rolls by the network's whole stride change nothing but the rims."""
    heard, canvas = make_power(frontend, 160), np.zeros((160, 64), np.float32)
    plain, rolled = (make_gradient(frontend, heard, 0.0)(canvas, roll)[48:-48] for roll in (0, 16))
    assert np.corrcoef(plain.ravel(), rolled.ravel())[0, 1] > 0.9


def test_limits_are_soft_and_never_crossed() -> None:
    canvas = np.linspace(-9, 9, 1001, dtype=np.float32)
    gain = soft_limit(canvas)
    assert MIN_GAIN <= gain.min() < gain.max() <= MAX_GAIN
    assert (np.diff(gain) >= 0).all()
    np.testing.assert_allclose(gain[490:511], canvas[490:511], atol=2e-3)


def test_smoothing_keeps_the_mean_and_dies_away_slower_than_it_rises() -> None:
    click = np.zeros((201, 64), np.float32)
    click[100, 30] = 1.0
    out = smooth_gradient(click, 6.0)
    assert out.sum() == pytest.approx(1.0, rel=1e-4)
    line = out.sum(axis=1)
    assert line.argmax() == 100
    assert line[101:].sum() > 2 * line[:100].sum()


def test_gathered_power_is_the_power_of_all_channels(frontend: AudioFrontend) -> None:
    rng = np.random.default_rng(2)
    shape = (3, 5, 1025)
    spectra = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    gathered = frontend.group_power(spectra)
    np.testing.assert_allclose(gathered.sum(), np.square(np.abs(spectra)).sum(), rtol=1e-5)
