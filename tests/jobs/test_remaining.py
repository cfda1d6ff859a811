"""The time left: right on recorded runs, and exact where frames keep what was expected of them."""

from __future__ import annotations

from array import array
from fractions import Fraction

import numpy as np
import pytest

from mmdream.film.shots import Scan, Shot
from mmdream.jobs.remaining import Tally, Work, estimating, expected_work, seconds_left
from mmdream.listen import Listener
from mmdream.recipe import Recipe
from mmdream.schedule import Schedule

# A run on two cores: the sample film of 8 s at 256x144, three octaves of six steps, dreamnet and melnet.
# Milliseconds after the start at which each frame was written; the second shot begins with frame 96.
FRAMES = """
358 408 621 648 669 692 733 754 769 785 800 823 837 855 872 890 910 926 941 964 984 1005 1030 1043 1083 1104
1124 1149 1172 1194 1210 1227 1250 1277 1303 1322 1350 1373 1393 1412 1433 1450 1476 1507 1525 1549 1573 1591
1629 1654 1674 1706 1727 1752 1775 1790 1807 1834 1873 1903 1937 1952 1962 1974 1986 1998 2010 2022 2034 2045
2055 2066 2084 2096 2106 2118 2132 2146 2158 2169 2179 2192 2202 2215 2226 2238 2248 2260 2273 2285 2296 2307
2317 2329 2340 2351 2430 2443 2454 2472 2485 2496 2507 2524 2542 2558 2572 2590 2605 2618 2628 2642 2656 2670
2684 2697 2708 2723 2734 2749 2767 2779 2791 2802 2817 2832 2847 2858 2871 2883 2895 2909 2919 2934 2949 2961
2973 2987 3000 3013 3024 3037 3050 3063 3085 3099 3110 3123 3134 3148 3159 3173 3184 3198 3211 3223 3235 3249
3259 3271 3284 3300 3311 3324 3336 3349 3363 3383 3398 3412 3424 3439 3450 3463 3475 3487 3501 3517 3527 3545
3563 3581 3593 3609 3622 3638 3654 3669 3681 3691 3702 3713
"""
SOUND = ((1.52, 1009), (3.04, 1239), (4.56, 1467), (6.08, 1671), (7.6, 1821), (8.0, 1932))
"""Seconds of sound that were done, and when, ms."""
COSTS = 0.0187, 0.0641
"""What was expected of a carried frame and of one in full, s."""


def work(shots: list[int], frames: int, costs: tuple[float, float] = COSTS) -> Work:
    kinds = np.zeros(frames, np.uint8)
    kinds[shots] = 1
    return Work(np.array(costs, np.float32)[kinds], kinds)


def replayed(
    expected: Work, events: list[tuple[float, str, float, float]], sound: bool
) -> list[tuple[float, float]]:
    """(when, seconds left as told) of a run that is played back."""
    now, told = [0.0], list[tuple[float, float]]()
    listener = Listener(left=lambda left: told.append((now[0], left)))
    playing = estimating(listener, expected, sound, lambda: now[0])
    for when, medium, done, total in sorted(events):
        now[0] = when
        playing.progress(medium, done, total)
    return told


def test_a_recorded_run_beside_its_sound_is_told_within_a_fifth():
    times = [int(ms) / 1000 for ms in FRAMES.split()]
    events = [(when, "picture", k, len(times)) for k, when in enumerate(times, 1)]
    events += [(when / 1000, "sound", done, 8.0) for done, when in SOUND]
    told = replayed(work([0, 96], len(times)), events, True)
    begun, over = times[len(times) // 20], times[-1]
    late = [(when, left) for when, left in told if when >= begun and over - when > 0.1]
    assert len(late) > 150
    ratios = np.array([left / (over - when) for when, left in late])
    assert np.mean(np.abs(ratios - 1) <= 0.2) > 0.95
    assert np.abs(ratios - 1).max() < 0.3


@pytest.mark.parametrize("slower", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("cuts", [[0], [0, 50, 100, 150], [0, *range(1, 400, 7)], [0, 399]])
def test_what_takes_as_long_as_expected_times_a_factor_is_told_exactly(slower: float, cuts: list[int]):
    expected = work(cuts, 400, (0.1, 1.0))
    times = np.cumsum(expected.seconds * slower)
    told = replayed(expected, [(t, "picture", k, 400) for k, t in enumerate(times, 1)], False)
    for when, left in told[20:]:
        assert left == pytest.approx(times[-1] - when, rel=0.01, abs=1e-3)


def test_frames_that_cost_more_later_are_known_from_the_schedule():
    schedule = Schedule(octaves=1, steps=((0, 10), (4, 10), (4.001, 40)))
    pts = array("q", range(200))
    shots = (Shot(0, 200, (0, 64, 0, 64)),)
    found = Scan(shots, pts, array("f", [1.0] * 200), Fraction(1, 25), 0)
    expected = expected_work(found, Fraction(0), Recipe(schedule=schedule), (64, 64), (0.1, 1.0))
    assert expected.seconds[0] == pytest.approx(1.0)
    assert expected.seconds[50] == pytest.approx(0.1)
    assert expected.seconds[150] == pytest.approx(0.4)
    times = np.cumsum(expected.seconds)
    told = replayed(expected, [(t, "picture", k, 200) for k, t in enumerate(times, 1)], False)
    when, left = told[20]
    assert left == pytest.approx(times[-1] - when, rel=0.01)


def test_flashes_and_films_without_coherence_are_dreamed_in_full():
    shots = (Shot(0, 10, (0, 64, 0, 64), ((4, 6),)),)
    found = Scan(shots, array("q", range(10)), array("f", [1.0] * 10), Fraction(1, 25), 0)
    kinds = expected_work(found, Fraction(0), Recipe(), (64, 64), (0.1, 1.0)).kinds
    assert kinds.tolist() == [1, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    alone = expected_work(found, Fraction(0), Recipe(coherence=0), (64, 64), (0.1, 1.0))
    assert alone.kinds.tolist() == [1] * 10


def test_a_resumed_run_counts_only_what_it_does():
    expected = work([0, 200], 400, (0.1, 1.0))
    times = np.cumsum(expected.seconds[300:]) * 2
    events = [(0.0, "picture", 300, 400)]
    events += [(t, "picture", k, 400) for k, t in enumerate(times, 301)]
    told = replayed(expected, events, False)
    assert told[0][1] == pytest.approx(10, rel=0.01)
    assert told[20][1] == pytest.approx(times[-1] - told[20][0], rel=0.01)


def test_a_sound_that_outlasts_the_picture_is_waited_for():
    beside = Tally()
    for _ in range(10):
        beside.add(0, 2.0, 1.0)
    assert seconds_left((1.0, 0.0), beside, Tally(), 0.0) < 2.0
    assert seconds_left((1.0, 0.0), beside, Tally(), 1.0) < 2.0
    assert seconds_left((1.0, 0.0), beside, Tally(), 10.0) > 5.0
