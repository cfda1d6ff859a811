"""The way of a walk: without jumps, quicker where the song is loud, by keys at their times, round."""

from __future__ import annotations

import numpy as np
import pytest

from mmdream.analysis.features import FeatureCurve
from mmdream.core.errors import UserError
from mmdream.core.rng import rng_for
from mmdream.render.generated.walk_path import MeasureChange, WalkPath, plan_path
from mmdream.settings.schedule import parse_drive
from mmdream.settings.walk import WalkSettings

CLASSES = ("lemon", "gizmo", "bus")
FRAMES = 250
QUIET_LOUD = FeatureCurve(0.0, np.clip((np.arange(200) - 97.5) / 5, 0, 1))
"""Five seconds of nothing, and five of all, with a way between that is as steep as pitch may be."""
SONG = {"onset": QUIET_LOUD, "loudness": QUIET_LOUD, "pitch": QUIET_LOUD}


def draw(place: str | int) -> np.ndarray:
    return rng_for(0, place).standard_normal(64)


def measure_angles(latents: np.ndarray, classes: np.ndarray) -> np.ndarray:
    unit = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    return np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1))


def plan(measure_change: MeasureChange = measure_angles, **settings: object) -> WalkPath:
    return plan_path(WalkSettings("small", **settings), CLASSES, FRAMES, SONG, draw, measure_change)


def angles(path: WalkPath, *pairs: tuple[int, int]) -> np.ndarray:
    """Degrees between latents: of frames that follow one another, or of pairs of frames."""
    chosen = pairs or [(k, k + 1) for k in range(FRAMES - 1)]
    unit = path.latents / np.linalg.norm(path.latents, axis=1, keepdims=True)
    return np.degrees([np.arccos(np.clip(unit[a] @ unit[b], -1, 1)) for a, b in chosen])


def angle_to(path: WalkPath, frame: int, number: int) -> float:
    latent, wanted = path.latents[frame], draw(number)
    cosine = latent @ wanted / np.linalg.norm(latent) / np.linalg.norm(wanted)
    return float(np.degrees(np.arccos(min(cosine, 1))))


def test_a_walk_never_jumps_and_is_quicker_where_the_song_is_loud():
    path = plan(turn=0.0)
    steps = angles(path)
    assert steps.max() < 8
    assert steps[130:].mean() > 5 * steps[:120].mean() > 0
    np.testing.assert_allclose(path.classes.sum(1), 1, atol=1e-6)
    assert np.abs(np.diff(path.classes, axis=0)).max() < 0.15
    np.testing.assert_allclose(np.square(path.latents).mean(1), 1, rtol=1e-4)


def test_classes_come_one_after_the_other_in_the_order_asked_for():
    path = plan(classes="bus,lemon", drives=(), speed=0.4)
    first, middle, last = (path.classes[frame] for frame in (0, round(2.5 * 25), 124))
    np.testing.assert_allclose(first, [0, 0, 1])
    np.testing.assert_allclose(middle, [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(last, [0, 0, 1], atol=0.03)


def test_a_high_song_leans_aside_and_a_drive_of_ones_own_replaces_it():
    def lean(**settings: object) -> np.ndarray:
        aside = draw("aside") / np.linalg.norm(draw("aside"))
        return plan(speed=0.0, turn=0.35, **settings).latents @ aside

    leaning, straight = lean(), lean(drives=(parse_drive("turn=pitch:0-0"),))
    assert np.abs(leaning[:90] - straight[:90]).max() < 0.05
    assert (leaning - straight)[-50:].min() > 3


def test_pictures_change_evenly_though_the_generator_does_not():
    def measure(latents: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Ten times as much where the first number is above 0."""
        return measure_angles(latents, classes) * np.where(latents[1:, 0] > 0, 10, 1)

    path = plan(measure, drives=(), turn=0.0, speed=0.6)
    change = measure(path.latents, path.classes)
    assert np.percentile(change, 90) < 1.5 * np.percentile(change, 10)
    plain = plan(drives=(), turn=0.0, speed=0.6)
    uneven = measure(plain.latents, plain.classes)
    assert np.percentile(uneven, 90) > 5 * np.percentile(uneven, 10)


def test_keys_are_reached_at_their_times_and_a_held_one_ends_in_a_jump():
    keys = ((0.0, 7), (4.0, 8), (6.0 - 1e-6, 8), (6.0, 9))
    path = plan(latent_keys=keys, class_keys=((2.0, ("bus",)), (8.0, ("lemon", "gizmo"))), turn=0.0)
    assert [
        angle_to(path, frame, number) for frame, number in ((0, 7), (100, 8), (149, 8), (150, 9), (249, 9))
    ] == (pytest.approx([0] * 5, abs=0.2))
    steps = angles(path)
    assert np.argmax(steps) == 149
    assert steps[149] > 60
    assert np.delete(steps, 149).max() < 10
    np.testing.assert_allclose(path.classes[50], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(path.classes[220], [0.5, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("keys", [(), ((1.0, 3), (5.0, 4))])
def test_a_loop_ends_where_it_began(keys: tuple):
    path = plan(loop=True, latent_keys=keys)
    ends, steps = angles(path, (FRAMES - 1, 0)), angles(path)
    assert ends < 1.5 * steps[-20:].max()
    assert np.abs(path.classes[-1] - path.classes[0]).max() < 0.05
    assert steps.max() < 12


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"drives": ("depth=onset",)}, "a walk has speed and turn"),
        ({"drives": ("speed=motion",)}, "a song has no motion"),
        ({"size": "480p"}, "write WIDTHxHEIGHT"),
        ({"classes": "bus", "class_keys": ((0.0, ("bus",)),)}, "keys of classes already"),
    ],
)
def test_wrong_settings_are_told(settings: dict, line: str):
    if "drives" in settings:
        settings = {"drives": tuple(map(parse_drive, settings["drives"]))}
    with pytest.raises(UserError, match=line):
        WalkSettings("small", **settings)
