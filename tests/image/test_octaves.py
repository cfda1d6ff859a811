"""A picture on octaves: sizes, the source's own detail, masks, and the little network that ships."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mmdream.image import octaves, tiles
from mmdream.image.gradient import build_gradient, evaluate_objective
from mmdream.image.objective import objective_at_depth
from mmdream.image.spectrum import blur_cascade, gradient_under_affine, make_noise_image, temper_gradient
from mmdream.networks.registry import load_card
from mmdream.settings.recipe import AscentOptions
from mmdream.settings.schedule import Schedule

DEPTH = 0.9
DEEP = objective_at_depth(load_card("dreamnet"), DEPTH)


def dream_detail(network, picture, *, seed=0, place=Fraction(0), steps=3, **more) -> np.ndarray:
    moment = Schedule(steps=steps, octaves=2, depth=DEPTH).at(0)
    visits = octaves.plan_full_passes(octaves.octave_sizes(*picture.shape[:2], moment), steps)
    gain = octaves.dream_octaves(
        picture,
        np.zeros_like(picture),
        visits,
        build_gradient(network, DEEP),
        0.01,
        seed=seed,
        time=place,
        **more,
    )
    return octaves.make_detail_limiter(picture, more.get("color", "full"))(gain)


def test_sizes_grow_to_the_picture_and_never_get_too_small():
    moment = Schedule(octaves=9, octave_scale=1.4).at(0)
    sizes = octaves.octave_sizes(360, 641, moment)
    assert sizes[-1] == (360, 641)
    assert sizes == sorted(sizes)
    assert min(sizes[0]) >= octaves.MIN_SIDE
    assert octaves.octave_sizes(1, 1, moment) == [(1, 1)]


def test_a_carried_frame_visits_the_largest_and_the_others_now_and_then_in_turn():
    sizes = octaves.octave_sizes(360, 640, Schedule().at(0))
    seen = [octaves.plan_carried_passes(sizes, 1, turn, 2.0) for turn in range(18)]
    assert all(visits[-1].size == (360, 640) for visits in seen)
    assert [visits[0].size for visits in seen if len(visits) == 2] == [*sizes[:3], *sizes[:3]]
    assert [visit.size for visit in octaves.plan_carried_passes([(64, 64)], 1, 5, 2.0)] == [(64, 64)]


def test_the_dream_raises_the_objective_far_more_than_its_detail_scrambled(network, picture):
    detail = dream_detail(network, picture, steps=6)
    spectrum = np.fft.fft2(detail, axes=(0, 1))
    phases = np.exp(1j * np.angle(np.fft.fft2(np.random.default_rng(0).normal(size=detail.shape[:2]))))
    scrambled = np.fft.ifft2(spectrum * phases[..., None], axes=(0, 1)).real.astype(np.float32)
    base = evaluate_objective(network, DEEP, picture)
    gain = evaluate_objective(network, DEEP, picture + detail) / base
    control = evaluate_objective(network, DEEP, np.clip(picture + scrambled, 0, 1)) / base
    assert gain > 1.5
    assert control - 1 < (gain - 1) / 3


def test_the_result_is_a_picture_and_no_steps_change_nothing(network, picture):
    whole = picture + dream_detail(network, picture)
    assert whole.min() >= 0
    assert whole.max() <= 1
    assert np.abs(dream_detail(network, picture, steps=0)).max() == 0


def test_one_seed_one_dream(network, picture):
    first, again = dream_detail(network, picture, seed=3), dream_detail(network, picture, seed=3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, dream_detail(network, picture, seed=4))
    assert not np.array_equal(first, dream_detail(network, picture, seed=3, place=Fraction(1, 25)))


def test_the_sources_chroma_can_be_kept(network, picture):
    detail = dream_detail(network, picture, color="source")
    assert np.abs(detail).mean() > 0.005
    assert np.abs(detail - detail.mean(axis=2, keepdims=True)).max() < 1e-6
    whole = picture + detail
    assert whole.min() >= -1e-6
    assert whole.max() <= 1 + 1e-6


def test_longer_steps_where_they_are_asked_for(network, picture):
    pace = np.zeros((48, 64), np.float32)
    pace[:24] = 1
    visits = [octaves.OctavePass((96, 128), 1, 2.0)]
    gain = octaves.dream_octaves(
        picture,
        np.zeros_like(picture),
        visits,
        build_gradient(network, DEEP),
        0.01,
        seed=0,
        time=Fraction(0),
        step_scale=pace,
    )
    assert gain.shape == (48, 64, 3)
    assert np.abs(gain[:24]).mean() > 0.002
    assert np.abs(gain[24:]).max() == 0


def test_tiles_cover_every_pixel_and_agree_with_the_whole(network, picture):
    gradient = build_gradient(network, objective_at_depth(network.card, 0.0))
    whole = gradient(picture)
    sewn = tiles.apply_tiled(gradient, picture, core=50, halo=24)
    cosine = (whole * sewn).sum() / np.linalg.norm(whole) / np.linalg.norm(sewn)
    assert cosine > 0.98
    assert np.array_equal(tiles.apply_tiled(lambda x: x, picture, core=31, halo=8), picture)


@pytest.mark.parametrize("length", [1, 49, 50, 51, 333])
def test_tiles_cover_every_length(length: int):
    cuts = tiles._split_evenly(length, 50)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == length
    assert max(stop - start for start, stop in cuts) <= 50


def test_blur_keeps_the_mean_and_takes_the_grain():
    noise = np.random.default_rng(0).normal(size=(64, 64, 3)).astype(np.float32) + 1
    blurred = blur_cascade(noise, 1.5)
    assert np.allclose(blurred.mean(), noise.mean(), atol=0.02)
    assert blurred.std() < 0.5 * noise.std()


@pytest.mark.parametrize("shape", [(1, 1), (33, 65), (31, 200)])
def test_awkward_sizes_are_dreamed(network, shape: tuple[int, int]):
    picture = np.full((*shape, 3), 0.5, np.float32)
    assert dream_detail(network, picture).shape == picture.shape


@pytest.mark.parametrize(
    "manner",
    [
        AscentOptions("adam"),
        AscentOptions(wander=1.0),
        AscentOptions(flatten=0.5),
        AscentOptions(natural=True),
    ],
)
def test_every_manner_climbs_and_none_is_the_plain_one(manner: AscentOptions, network, picture):
    plain, detail = (dream_detail(network, picture, steps=6, options=m) for m in (AscentOptions(), manner))
    base = evaluate_objective(network, DEEP, picture)
    assert evaluate_objective(network, DEEP, picture + detail) > 1.3 * base
    assert np.abs(detail - plain).max() > 0.01


def test_flattening_makes_a_dream_smoother(network, picture):
    def measure_roughness(detail: np.ndarray) -> float:
        return float(np.abs(np.diff(detail, axis=0)).mean() / np.abs(detail).mean())

    plain, flat = (
        dream_detail(network, picture, steps=6, options=AscentOptions(flatten=f)) for f in (0.0, 0.8)
    )
    assert measure_roughness(flat) < 0.9 * measure_roughness(plain)


def test_a_gradient_comes_back_from_where_its_picture_wandered(picture):
    way = gradient_under_affine(lambda there: there, picture, np.array([1.0, -1.0]))
    inner = (slice(20, -20), slice(25, -25))
    assert np.abs(way - picture)[inner].mean() < 0.05
    still = gradient_under_affine(lambda there: there, picture, np.zeros(2))
    np.testing.assert_allclose(still, picture, atol=1e-6)


def test_each_step_is_shown(network, picture):
    shown: list[np.ndarray] = []
    detail = dream_detail(network, picture, steps=3, on_step=shown.append)
    assert len(shown) == 2 * 3  # octaves, steps
    assert all(rgb.shape == picture.shape for rgb in shown)
    np.testing.assert_allclose(shown[-1], picture + detail, atol=1e-6)


def test_noise_has_the_spectrum_of_pictures_and_its_own_seed():
    first = make_noise_image(96, 160, 0)
    assert first.shape == (96, 160, 3)
    np.testing.assert_array_equal(first, make_noise_image(96, 160, 0))
    assert np.abs(first - make_noise_image(96, 160, 1)).mean() > 0.01
    amplitude = np.abs(np.fft.rfft2(first.mean(2) - first.mean())).ravel()
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(160)[None]).ravel()
    low, high = (amplitude[np.abs(frequency - f) < 0.01].mean() for f in (0.05, 0.4))
    assert low / high == pytest.approx(8, rel=0.3)


def test_a_tempered_gradient_keeps_its_grey_and_stops_at_black_and_white():
    image = np.float32([[[0, 0.5, 1], [0.1, 0.9, 0.5]]])
    slope = np.float32([[[-1, 2, 2], [-4, 4, 3]]])
    tempered = temper_gradient(lambda _: slope, 0.5, 0.2)(image)
    assert np.allclose(tempered, [[[0, 1.5, 0], [-0.75, 1.25, 2]]])
    grey = temper_gradient(lambda _: slope, 0.5, 0.0)(image)
    assert np.allclose(grey.mean(axis=2), slope.mean(axis=2))
    assert np.allclose(np.ptp(grey, axis=2), np.ptp(slope, axis=2) / 2)
    assert temper_gradient(blur_cascade, 1.0, 0.0) is blur_cascade


def test_a_shallow_dream_of_foliage_does_not_burn(network):
    """Green leaves of noise: what a dream clips, and its colours, with the card's tempering and without."""
    light = np.clip(make_noise_image(96, 128, 5).mean(axis=2, keepdims=True) * 4 - 1.6, 0, 0.8)
    leaves = np.float32(light * [0.8, 1.0, 0.25])
    card, objective = network.card, objective_at_depth(network.card, 0.3)
    found = []
    for color, margin in ((1.0, 0.0), card.tempering_along(objective.terms, objective.weights)):
        gradient = temper_gradient(build_gradient(network, objective), color, margin)
        gain = octaves.dream_octaves(
            leaves,
            np.zeros_like(leaves),
            octaves.plan_full_passes([(96, 128)], 10),
            gradient,
            card.step_along(objective.terms, objective.weights),
            seed=0,
            time=Fraction(0),
        )
        dream = np.clip(leaves + gain, 0, 1)
        clipped = ((dream <= 0) & (leaves > 0)) | ((dream >= 1) & (leaves < 1))
        found.append((clipped.any(axis=2).mean(), np.ptp(dream, axis=2).mean()))
    (clipped, colors), (clipped_now, colors_now) = found
    assert clipped_now < 0.25 * clipped
    assert colors_now < 0.9 * colors
