"""The time left: right on recorded runs, and exact where frames keep what was expected of them."""

from __future__ import annotations

from array import array
from fractions import Fraction

import numpy as np
import pytest

from mmdream.analysis.shots import Scan, Shot
from mmdream.core.events import EventSink
from mmdream.networks.registry import load_card
from mmdream.planning.eta import (
    FINISHING_SECONDS,
    SECONDS_PER_PIXEL,
    PaceTracker,
    PassCost,
    estimate_frame_work,
    estimate_seconds_left,
    report_time_left,
)
from mmdream.settings.passes import Span
from mmdream.settings.recipe import Recipe
from mmdream.settings.schedule import Schedule

# A run on two cores: a film of 9.6 s and one shot, dreamed at 256x144 with dreamnet and melnet.
# Milliseconds after the start at which each frame was written, and at which all was done.
FRAMES = """
689 713 723 752 767 783 794 816 845 903 927 954 993 1032 1063 1107 1142 1170 1214 1230 1247 1333 1354 1367
1401 1415 1423 1449 1466 1471 1490 1522 1552 1570 1608 1634 1648 1666 1701 1713 1745 1752 1761 1787 1820
1849 1897 1919 1942 1950 1998 2003 2010 2021 2034 2040 2053 2074 2094 2103 2130 2138 2148 2173 2191 2196
2202 2215 2225 2259 2265 2278 2296 2314 2333 2351 2363 2383 2418 2561 2608 2631 2642 2656 2680 2689 2697
2717 2723 2735 2740 2751 2759 2774 2790 2820 2830 2850 2868 2880 2921 2943 2956 2974 2997 3018 3032 3090
3115 3142 3148 3152 3157 3162 3171 3187 3198 3222 3232 3242 3304 3331 3341 3361 3374 3393 3404 3413 3420
3430 3446 3451 3466 3485 3491 3539 3547 3567 3576 3585 3596 3608 3629 3636 3714 3743 3764 3795 3801 3807
3834 3839 3847 3856 3862 3868 3887 3898 3916 3970 4042 4067 4077 4089 4104 4112 4125 4143 4150 4177 4189
4198 4206 4219 4273 4319 4365 4374 4385 4391 4395 4402 4409 4417 4428 4441 4462 4489 4511 4522 4534 4544
4563 4573 4587 4595 4608 4645 4650 4665 4735 4758 4770 4789 4793 4797 4801 4805 4833 4839 4868 4877 4883
4902 4921 4943 4957 4970 5006 5018 5043 5053 5068 5083 5097 5110 5121 5131 5135 5147 5152 5169 5175 5184
5189 5196 5201 5211 5221 5233 5240
"""
OVER = 5.66
SOUND = ((1.52, 1691), (3.04, 2392), (4.57, 2995), (6.09, 3658), (7.61, 4216), (9.13, 4723), (9.61, 5058))
"""Seconds of sound that were done, and when, ms."""
BOX = 0, 360, 71, 569
"""The film has black pillars."""
STEP = 0.0079
"""What a step was found to take, s."""


def make_pass_cost(recipe: Recipe, seconds: float) -> PassCost:
    return PassCost(recipe.schedule, load_card("dreamnet").carried, Span(), seconds)


def estimate_work(
    shots: list[int], frames: int, schedule: Schedule | None = None, **settings: float
) -> np.ndarray:
    """Of a film of 640x360 with cuts at these frames, dreamed at 256x144."""
    ends = [*shots[1:], frames]
    found = Scan(
        tuple(Shot(first, stop, BOX) for first, stop in zip(shots, ends, strict=True)),
        array("q", range(frames)),
        array("f", [1.0] * frames),
        Fraction(1, 25),
        0,
    )
    recipe = Recipe(schedule=schedule or Schedule(), **settings)
    return estimate_frame_work(
        found, Fraction(0), recipe, [make_pass_cost(recipe, STEP)], (144, 256), (360, 640)
    )


def compute_finishing_seconds(frames: int) -> float:
    return FINISHING_SECONDS[0] + FINISHING_SECONDS[1] * frames


def replay_run(
    expected: np.ndarray, events: list[tuple[float, str, float, float]], sound: bool
) -> list[tuple[float, float]]:
    """(when, seconds left as estimated) of a run that is played back."""
    now, estimates = [0.0], list[tuple[float, float]]()
    listener = EventSink(left=lambda left: estimates.append((now[0], left)))
    playing = report_time_left(listener, expected, sound, lambda: now[0])
    for when, medium, done, total in sorted(events):
        now[0] = when
        playing.progress(medium, done, total)
    return estimates


def test_a_recorded_run_beside_its_sound_is_told_within_a_fifth():
    times = [int(ms) / 1000 for ms in FRAMES.split()]
    events = [(when, "picture", k, len(times)) for k, when in enumerate([0.0, *times])]
    events += [(when / 1000, "sound", done, SOUND[-1][0]) for done, when in SOUND]
    estimates = replay_run(estimate_work([0], len(times)), events, True)
    begun, over = times[len(times) // 20], OVER
    late = [(when, left) for when, left in estimates if when >= begun]
    assert len(late) > 150
    ratios = np.array([left / (over - when) for when, left in late])
    assert np.mean(np.abs(ratios - 1) <= 0.2) > 0.9
    assert np.abs(ratios - 1).max() < 0.3


@pytest.mark.parametrize("slower", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("cuts", [[0], [0, 50, 100, 150], [0, *range(1, 400, 7)], [0, 399]])
def test_what_takes_as_long_as_expected_times_a_factor_is_told_exactly(slower: float, cuts: list[int]):
    expected = estimate_work(cuts, 400)
    times = np.cumsum(expected * slower)
    estimates = replay_run(expected, [(t, "picture", k, 400) for k, t in enumerate(times, 1)], False)
    for when, left in estimates[20:]:
        assert left - compute_finishing_seconds(400) == pytest.approx(times[-1] - when, rel=0.01, abs=1e-3)


def test_frames_that_cost_more_later_are_known_from_the_schedule():
    schedule = Schedule(octaves=1, steps=((0, 10), (4, 10), (4.001, 40)))
    expected = estimate_work([0], 200, schedule)
    film = (144 * 256 + 360 * 640) * SECONDS_PER_PIXEL
    steps = (expected - film) / STEP * 640 / (BOX[3] - BOX[2])
    assert steps[[0, 10, 50, 150]] == pytest.approx([10, 3, 1, 4])
    times = np.cumsum(expected)
    estimates = replay_run(expected, [(t, "picture", k, 200) for k, t in enumerate(times, 1)], False)
    when, left = estimates[20]
    assert left - compute_finishing_seconds(200) == pytest.approx(times[-1] - when, rel=0.01)


def test_flashes_fades_borders_and_films_without_coherence_are_known():
    light = [0.0] * 4 + [0.1 * k for k in range(2, 11)] + [1.0] * 47
    shots = (Shot(0, 60, (0, 64, 0, 64), ((40, 41),)),)
    found = Scan(shots, array("q", range(60)), array("f", light), Fraction(1, 25), 0)

    def estimate_steps(**settings: float) -> np.ndarray:
        recipe = Recipe(schedule=Schedule(octaves=1, steps=10), **settings)
        seconds = estimate_frame_work(
            found, Fraction(0), recipe, [make_pass_cost(recipe, 1.0)], (64, 64), (64, 128)
        )
        return np.round(2 * (seconds - SECONDS_PER_PIXEL * (64 * 64 + 64 * 128)), 3)  # Half of it is border.

    assert estimate_steps()[[0, 3, 4, 5, 30, 40, 41]].tolist() == [0, 0, 10, 3, 1, 10, 1]
    assert set(estimate_steps(coherence=0).tolist()) == {0, 10}


def test_a_resumed_run_counts_only_what_it_does():
    expected = estimate_work([0, 200], 400)
    times = np.cumsum(expected[300:]) * 2
    events = [(0.0, "picture", 300, 400)]
    events += [(t, "picture", k, 400) for k, t in enumerate(times, 301)]
    estimates = replay_run(expected, events, False)
    assert estimates[0][1] - compute_finishing_seconds(400) == pytest.approx(times[-1] / 2, rel=0.01)
    assert estimates[20][1] - compute_finishing_seconds(400) == pytest.approx(
        times[-1] - estimates[20][0], rel=0.01
    )


def test_a_sound_that_outlasts_the_picture_is_waited_for():
    beside = PaceTracker()
    for _ in range(10):
        beside.add(2.0, 1.0)
    assert estimate_seconds_left(1.0, beside, PaceTracker(), 0.0) < 2.0
    assert estimate_seconds_left(1.0, beside, PaceTracker(), 1.0) < 2.0
    assert estimate_seconds_left(1.0, beside, PaceTracker(), 10.0) > 5.0
