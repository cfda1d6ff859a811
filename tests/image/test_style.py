"""Styles of pictures: distances that are right, a gradient that leads there, the same in tiles as in one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmdream.ascent.style_statistics import (
    gram_distance,
    measure_feature_moments,
    to_texture_statistics,
    wasserstein_distance,
)
from mmdream.image import style, tiles
from mmdream.image.octaves import OctavePass, make_detail_limiter
from mmdream.image.spectrum import make_noise_image
from mmdream.image.style_ascent import StyleTarget, stylize_octaves
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, load_network
from mmdream.networks.registry import load_card
from mmdream.settings.passes import Style


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network(load_card("dreamnet"), None, "float32")


@pytest.fixture(scope="module")
def style_target(network: Network) -> StyleTarget:
    model = np.clip(0.2 + 1.5 * make_noise_image(96, 96, 4)[..., ::-1] * [0.9, 0.5, 0.3], 0, 1).astype(
        np.float32
    )
    return StyleTarget(network, Style(((Path("model"), 1.0),)), ((model, 1.0),))


def draw_features(rng: np.random.Generator, spread: np.ndarray, mean: np.ndarray) -> tf.Tensor:
    drawn = rng.standard_normal((1, 300, 300, 3)) * spread + mean
    return tf.constant(drawn.astype(np.float32))


def measure_moments(a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return measure_feature_moments(a, tf.ones((*a.shape[:3], 1)))


def test_the_distance_of_normal_distributions_is_what_the_formula_says():
    rng = np.random.default_rng(1)
    first, second = np.array([1.0, 2.0, 0.5]), np.array([0.5, 1.0, 2.0])
    mean = np.array([1.0, -1.0, 0.5])
    a, b = (
        measure_moments(draw_features(rng, first, np.zeros(3))),
        measure_moments(draw_features(rng, second, mean)),
    )
    # For axes alike: the squared distance of the means and of the deviations.
    expected = (np.square(mean).sum() + np.square(first - second).sum()) / np.square(second).sum()
    assert float(wasserstein_distance(a, to_texture_statistics(b))) == pytest.approx(expected, rel=0.03)
    assert float(wasserstein_distance(a, to_texture_statistics(a))) == pytest.approx(0, abs=1e-4)
    assert float(gram_distance(a, to_texture_statistics(a))) == pytest.approx(0, abs=1e-6)


def test_moments_count_only_what_weighs():
    a = tf.constant(np.random.default_rng(2).random((1, 8, 8, 3), np.float32))
    half = np.zeros((1, 8, 8, 1), np.float32)
    half[:, :, :4] = 1
    for got, expected in zip(
        measure_feature_moments(a, tf.constant(half)), measure_moments(a[:, :, :4]), strict=True
    ):
        assert np.allclose(got, expected, rtol=1e-5)


def stack_content(rgb: np.ndarray, content: np.ndarray | None = None) -> np.ndarray:
    whole = np.ones((*rgb.shape[:2], 1), np.float32)
    return np.concatenate((rgb, rgb if content is None else content, whole), axis=2)


def measure_variance(style_target: StyleTarget, content: np.ndarray) -> float:
    return style.measure_content_variance(style_target.network, content)


def test_the_gradient_is_that_of_the_distances(style_target, monkeypatch):
    monkeypatch.setattr(style, "PADDING_RANGE", (0, 0))  # The distances are of pictures without a rim.
    content, here = make_noise_image(64, 96, 7), 0.2 + 0.6 * make_noise_image(64, 96, 8)
    painting = style_target.loss_at((64, 96))
    way = painting.gradient(
        stack_content(here, content), measure_variance(style_target, content), np.random.default_rng(0)
    )

    def measure_loss(rgb: np.ndarray) -> float:
        from_style, from_content = painting.distances(stack_content(rgb, content))
        rough = sum(float(np.abs(np.diff(rgb, axis=axis)).sum()) for axis in (0, 1))
        return rgb.size * (from_style + style.CONTENT_WEIGHT * from_content) + painting.style.smooth * rough

    step = 0.002 * way / np.sqrt(np.square(way).mean())
    expected = 2 * float((step * way).sum())
    assert measure_loss(here - step) - measure_loss(here + step) == pytest.approx(expected, rel=0.05)


def test_a_tile_has_the_gradient_of_the_whole(style_target, monkeypatch):
    content, here = make_noise_image(96, 640, 7), 0.2 + 0.6 * make_noise_image(96, 640, 8)
    # One tile differs little: its content weighs as in the whole all the same.
    here[:, 320:480], content[:, 320:480] = (0.5 + 0.2 * (x[:, 320:480] - 0.5) for x in (here, content))
    painting, varied = style_target.loss_at((96, 640)), measure_variance(style_target, content)
    whole = painting.gradient(stack_content(here, content), varied, np.random.default_rng(0))
    monkeypatch.setattr(style, "split_tiles", lambda h, w: tiles.split_tiles(h, w, 160, 160))
    monkeypatch.setattr(style, "apply_tiled", lambda slope, x: tiles.apply_tiled(slope, x, 160, 160))
    assert measure_variance(style_target, content) == pytest.approx(varied, rel=0.1)
    tiled = painting.gradient(stack_content(here, content), varied, np.random.default_rng(0))
    # The whole counts its rim among its pixels, tiles do not: all of it is longer by a factor.
    factor = np.sqrt(np.square(tiled).sum() / np.square(whole).sum())
    for left in range(0, 640, 160):
        a, b = (x[:, left : left + 160].ravel() for x in (factor * whole, tiled))
        assert a @ b > 0.97 * np.sqrt((a @ a) * (b @ b))
        assert np.sqrt(b @ b) == pytest.approx(np.sqrt(a @ a), rel=0.1)


def test_a_blend_has_the_moments_of_its_paintings_by_their_weights(network):
    first, second = (
        style.measure_moments(network, make_noise_image(*size, 1)) for size in ((32, 64), (96, 64))
    )
    mixed = style.blend_moments([(first, 3.0), (second, 1.0)])
    for a, b, both in zip(first, second, mixed, strict=True):
        for place in (1, 2):
            expected = 0.75 * a[place] / a[0] + 0.25 * b[place] / b[0]
            assert np.allclose(both[place] / both[0], expected, rtol=1e-4, atol=1e-6)


def test_a_picture_in_tiles_has_the_style_of_the_whole(style_target, monkeypatch):
    content = stack_content(make_noise_image(128, 256, 3))
    whole = style.measure_masked_moments(style_target.network, content)

    def split_small_tiles(height: int, width: int) -> list[tuple[tiles.TileSlices, tiles.TileSlices]]:
        return tiles.split_tiles(height, width, 128, 64)

    monkeypatch.setattr(style, "split_tiles", split_small_tiles)
    for got, expected in zip(style.measure_masked_moments(style_target.network, content), whole, strict=True):
        # Means and powers; at the rim a layer's cells see the picture end.
        assert np.allclose(got[1] / got[0], expected[1] / expected[0], rtol=0.05, atol=0.02)


def paint_picture(style_target: StyleTarget, content: np.ndarray, **settings: object) -> np.ndarray:
    visits = [
        OctavePass((max(16, content.shape[0] // 2), max(16, content.shape[1] // 2)), 6),
        OctavePass(content.shape[:2], 6),
    ]
    gain = stylize_octaves(
        content, np.zeros_like(content), visits, style_target, seed=1, time=Fraction(0), **settings
    )
    return content + make_detail_limiter(content, str(settings.get("color", "full")))(gain)


def test_painting_comes_nearer_to_the_style_and_is_the_same_again(style_target):
    content = make_noise_image(96, 128, 5)
    result = paint_picture(style_target, content)
    assert style_target.distance(result, content) < 0.6 * style_target.distance(content, content)
    assert np.array_equal(result, paint_picture(style_target, content))


def test_where_nothing_is_shared_nothing_is_painted(style_target):
    content, share = make_noise_image(96, 128, 5), np.zeros((96, 128), np.float32)
    share[:, :64] = 1
    result = paint_picture(style_target, content, mask=share)
    assert np.array_equal(result[:, 72:], content[:, 72:])
    assert np.abs(result[:, :56] - content[:, :56]).mean() > 0.01


def test_the_source_keeps_its_chroma(style_target):
    content = 0.3 + 0.4 * make_noise_image(64, 96, 5)
    change = paint_picture(style_target, content, color="source") - content
    assert np.abs(change - change.mean(axis=2, keepdims=True)).max() < 1e-5
    assert np.abs(change).mean() > 0.005


@pytest.mark.parametrize("size", [(17, 17), (640, 20)])
def test_small_and_narrow_pictures_are_painted(style_target, size):
    content = make_noise_image(*size, 2)
    assert np.isfinite(paint_picture(style_target, content)).all()


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (1, 1)])
def test_a_painting_may_be_a_line(network, size):
    model = np.full((*size, 3), [0.8, 0.3, 0.1], np.float32)
    narrow = StyleTarget(network, Style(((Path("model"), 1.0),)), ((model, 1.0),))
    result = paint_picture(narrow, make_noise_image(48, 64, 2))
    assert np.isfinite(result).all()
    assert result[..., 0].mean() > result[..., 2].mean()
