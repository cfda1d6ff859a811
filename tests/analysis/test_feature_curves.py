"""From a feature to curves: bounded, smooth, up in time, and few keys."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.analysis.features import (
    FEATURE_KINDS,
    STEP_SECONDS,
    FeatureCurve,
    limit_slope,
    normalize_feature,
)
from mmdream.analysis.modulate import THINNING_TOLERANCE, modulate_curve, modulate_motifs, thin_keys
from mmdream.settings.definition import to_dict
from mmdream.settings.schedule import SCHEDULE_LIMITS, Curve, Schedule


def make_level_curve(n: int, seed: int = 3) -> np.ndarray:
    """A level that wanders, with sudden events, float64 [n]."""
    rng = np.random.default_rng(seed)
    level = np.abs(np.cumsum(rng.standard_normal(n))) / 10
    level[rng.integers(0, n, n // 40)] += rng.uniform(1, 5, n // 40)
    return level


@pytest.mark.parametrize("name", FEATURE_KINDS)
def test_a_feature_is_bounded_and_nowhere_steeper_than_its_kind_says(name: str):
    found = normalize_feature(name, 2.0, make_level_curve(1000))
    assert found.values.min() >= 0
    assert found.values.max() <= 1
    slopes = np.diff(found.values) / STEP_SECONDS
    assert slopes.max() <= 1 / FEATURE_KINDS[name].rise + 1e-9
    assert slopes.min() >= -1 / FEATURE_KINDS[name].fall - 1e-9
    assert np.ptp(found.values) > 0.3


@pytest.mark.parametrize("name", ["loudness", "onset", "motion", "cuts"])
def test_one_short_event_is_up_when_it_comes_and_down_elsewhere(name: str):
    values = 0.01 * np.abs(np.random.default_rng(0).standard_normal(2000))
    values[1200:1202] = 20.0
    found = normalize_feature(name, 5.0, values)
    at = 5.0 + 1201 * STEP_SECONDS
    peak = found.times[int(found.values.argmax())]
    assert abs(peak - at) <= 0.15
    assert found.at(np.array([at]))[0] > 0.75
    assert np.abs(found.at(np.array([at - 1.0, at + 2.0]))).max() < 0.05


@pytest.mark.parametrize(
    "values", [np.zeros(0), np.zeros(300), np.full(300, 7.5), 0.4 + 1e-4 * make_level_curve(300)]
)
@pytest.mark.parametrize("name", FEATURE_KINDS)
def test_what_hardly_changes_stands_in_the_middle(name: str, values: np.ndarray):
    found = normalize_feature(name, 0.0, values)
    assert not len(found.values)
    curve = modulate_curve("strength", Curve(((0.0, 0.5),)), [((0.2, 1.4), found)])
    assert curve.keys == ((0.0, 0.5 * 0.8),)


def test_what_ends_is_over_and_what_lasts_is_held():
    rising = np.linspace(0, 5, 200)
    assert normalize_feature("loudness", 0.0, rising).at(np.array([30.0]))[0] == 0
    assert normalize_feature("brightness", 0.0, rising).at(np.array([30.0]))[0] == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_envelope_is_the_least_one_above(seed: int):
    values = np.random.default_rng(seed).random(80)
    rise, fall = 0.3, 0.9
    at = STEP_SECONDS * np.arange(80)
    reach = at[:, None] - at[None]  # Seconds behind each event.
    expected = (values[None] - np.where(reach >= 0, reach / fall, -reach / rise)).max(1)
    np.testing.assert_allclose(limit_slope(values, rise, fall), expected, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULE_LIMITS)
def test_a_driven_setting_is_the_schedules_own_times_the_factor_within_its_limits(name: str):
    found = normalize_feature("loudness", 0.0, make_level_curve(600))
    low, high = SCHEDULE_LIMITS[name]
    base = Curve(((1.0, low), (1.5, (low + high) / 3), (20.0, high)))
    curve = modulate_curve(name, base, [((0.3, 1.5), found)])
    at = np.linspace(-2, 40, 5000)
    expected = np.clip(base.at(at) * (0.3 + 1.2 * found.at(at)), low, high)
    # A corner that is cut off at a limit may lie between two values.
    assert np.abs(curve.at(at) - expected).max() <= 2 * THINNING_TOLERANCE * expected.max()
    assert len(curve.keys) < len(found.values) / 3
    Schedule(**{name: curve})


def test_zero_stays_zero_and_drives_multiply():
    one, other = (
        normalize_feature("loudness", 0.0, make_level_curve(300)),
        normalize_feature("motion", 1.0, make_level_curve(300, 9)),
    )
    assert set(v for _, v in modulate_curve("strength", Curve(((0.0, 0.0),)), [((0.2, 4.0), one)]).keys) == {
        0.0
    }
    both = modulate_curve("strength", Curve(((0.0, 1.0),)), [((0.2, 1.4), one), ((1.2, 0.4), other)])
    at = np.linspace(0, 16, 999)
    expected = (0.2 + 1.2 * one.at(at)) * (1.2 - 0.8 * other.at(at))
    assert np.abs(both.at(at) - expected).max() <= 2 * THINNING_TOLERANCE * expected.max()


def test_thinning_keeps_ends_and_misses_no_value_by_more_than_told():
    at, values = STEP_SECONDS * np.arange(3000), make_level_curve(3000)
    kept = thin_keys(at, values, 0.2)
    assert kept[0] == 0
    assert kept[-1] == 2999
    assert np.abs(np.interp(at, at[kept], values[kept]) - values).max() <= 0.2
    assert len(kept) < 1500
    assert thin_keys(at, np.full(3000, 2.0), 0.1).tolist() == [0]


def test_motifs_fade_from_the_first_to_the_last_and_meet_those_between():
    rising = FeatureCurve(0.0, np.concatenate([np.zeros(20), np.linspace(0, 1, 100), np.ones(20)]))
    fade = modulate_motifs(("dog", "eye", "tower"), rising)
    assert fade.at(0.0) == (("dog", 1.0), ("eye", 0.0), ("tower", 0.0))
    middle = float(np.interp(0.5, rising.values[20:120], rising.times[20:120]))
    assert dict(fade.at(middle))["eye"] == pytest.approx(1.0, abs=0.02)
    assert dict(fade.at(99.0))["tower"] == 1.0
    for when in np.linspace(-1, 9, 200):
        shares = dict(fade.at(float(when)))
        assert sum(shares.values()) == pytest.approx(1.0)
        place = 2 * rising.at(np.array([when]))[0]
        # Parts of an eighth, of which the key nearest is taken.
        assert shares["eye"] + 2 * shares["tower"] == pytest.approx(place, abs=0.12)
    again = Schedule(**to_dict(Schedule(motif=fade)))
    assert again.motif_curve == fade


def test_motifs_stand_between_where_nothing_changes():
    assert dict(modulate_motifs(("dog", "tower"), FeatureCurve(0.0, np.zeros(0))).at(3.0)) == {
        "dog": 0.5,
        "tower": 0.5,
    }
