"""Styles of pictures: distances that are right, a gradient that leads there, the same in tiles as in one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmdream.networks.card import card
from mmdream.networks.framework import tf
from mmdream.networks.network import Network, load
from mmdream.objectives import gram, moments, wasserstein
from mmdream.passes import Style
from mmdream.picture import style, tiles
from mmdream.picture.octaves import Visit, allowed
from mmdream.picture.spectrum import noise
from mmdream.picture.styled import Easel, paint


@pytest.fixture(scope="module")
def network() -> Network:
    return load(card("dreamnet"), None, "float32")


@pytest.fixture(scope="module")
def easel(network: Network) -> Easel:
    model = np.clip(0.2 + 1.5 * noise(96, 96, 4)[..., ::-1] * [0.9, 0.5, 0.3], 0, 1).astype(np.float32)
    return Easel(network, Style(((Path("model"), 1.0),)), ((model, 1.0),))


def cells(rng: np.random.Generator, spread: np.ndarray, mean: np.ndarray) -> tf.Tensor:
    drawn = rng.standard_normal((1, 300, 300, 3)) * spread + mean
    return tf.constant(drawn.astype(np.float32))


def sums(a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return moments(a, tf.ones((*a.shape[:3], 1)))


def test_the_distance_of_normal_distributions_is_what_the_formula_says():
    rng = np.random.default_rng(1)
    first, second = np.array([1.0, 2.0, 0.5]), np.array([0.5, 1.0, 2.0])
    mean = np.array([1.0, -1.0, 0.5])
    a, b = sums(cells(rng, first, np.zeros(3))), sums(cells(rng, second, mean))
    # For axes alike: the squared distance of the means and of the deviations.
    wanted = (np.square(mean).sum() + np.square(first - second).sum()) / np.square(second).sum()
    assert float(wasserstein(a, b)) == pytest.approx(wanted, rel=0.03)
    assert float(wasserstein(a, a)) == pytest.approx(0, abs=1e-4)
    assert float(gram(a, a)) == pytest.approx(0, abs=1e-6)


def test_moments_count_only_what_weighs():
    a = tf.constant(np.random.default_rng(2).random((1, 8, 8, 3), np.float32))
    half = np.zeros((1, 8, 8, 1), np.float32)
    half[:, :, :4] = 1
    for got, wanted in zip(moments(a, tf.constant(half)), sums(a[:, :, :4]), strict=True):
        assert np.allclose(got, wanted, rtol=1e-5)


def beside(rgb: np.ndarray) -> np.ndarray:
    return np.concatenate((rgb, rgb, np.ones((*rgb.shape[:2], 1), np.float32)), axis=2)


def test_the_gradient_leads_to_the_style(easel):
    content = noise(64, 96, 7)
    painting = easel.painting((64, 96))
    way = painting.gradient(beside(content), np.random.default_rng(0))
    step = 0.004 * way / np.sqrt(np.square(way).mean())
    assert easel.distance(content + step, content) < easel.distance(content, content)
    assert easel.distance(content - step, content) > easel.distance(content, content)


def test_a_picture_in_tiles_has_the_style_of_the_whole(easel, monkeypatch):
    content = beside(noise(128, 256, 3))
    whole = style.told(easel.network, content)

    def small(height: int, width: int) -> list[tuple[tiles.Window, tiles.Window]]:
        return tiles.windows(height, width, 128, 64)

    monkeypatch.setattr(style, "windows", small)
    for got, wanted in zip(style.told(easel.network, content), whole, strict=True):
        # Means and powers; at the rim a layer's cells see the picture end.
        assert np.allclose(got[1] / got[0], wanted[1] / wanted[0], rtol=0.05, atol=0.02)


def painted(easel: Easel, content: np.ndarray, **settings: object) -> np.ndarray:
    visits = [
        Visit((max(16, content.shape[0] // 2), max(16, content.shape[1] // 2)), 6),
        Visit(content.shape[:2], 6),
    ]
    gain = paint(content, np.zeros_like(content), visits, easel, seed=1, place=Fraction(0), **settings)
    return content + allowed(content, str(settings.get("color", "full")))(gain)


def test_painting_comes_nearer_to_the_style_and_is_the_same_again(easel):
    content = noise(96, 128, 5)
    result = painted(easel, content)
    assert easel.distance(result, content) < 0.6 * easel.distance(content, content)
    assert np.array_equal(result, painted(easel, content))


def test_where_nothing_is_shared_nothing_is_painted(easel):
    content, share = noise(96, 128, 5), np.zeros((96, 128), np.float32)
    share[:, :64] = 1
    result = painted(easel, content, share=share)
    assert np.array_equal(result[:, 72:], content[:, 72:])
    assert np.abs(result[:, :56] - content[:, :56]).mean() > 0.01


def test_the_source_keeps_its_chroma(easel):
    content = 0.3 + 0.4 * noise(64, 96, 5)
    change = painted(easel, content, color="source") - content
    assert np.abs(change - change.mean(axis=2, keepdims=True)).max() < 1e-5
    assert np.abs(change).mean() > 0.005


@pytest.mark.parametrize("size", [(17, 17), (640, 20)])
def test_small_and_narrow_pictures_are_painted(easel, size):
    content = noise(*size, 2)
    assert np.isfinite(painted(easel, content)).all()
