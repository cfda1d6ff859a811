"""The way of a walk: latent and shares of classes of each frame, by settings and the song's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmdream.analysis.features import FeatureCurve
from mmdream.settings.schedule import Drive
from mmdream.settings.walk import WalkSettings

MIN_SPEED = 1e-3
"""Latents a second: so slow it still is where nothing sounds, and times have an order."""
TURN_BACK_SECONDS = 1.0
"""In which a loop's lean goes back to that of its beginning."""
POINTS = 24
"""Of the way, for each latent that is passed, at which its pictures are compared."""
LEAST_CHANGE = 0.02
"""Of the usual change between two points: even where nothing changes, time passes."""
DrawLatent = Callable[[str | int], np.ndarray]
"""A place, or a number from 1 on -> float [k], normal numbers."""


MeasureChange = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Latents, float32 [n, k], and shares of classes, [n, class] -> change from picture to picture, [n - 1]."""


@dataclass(frozen=True)
class WalkPath:
    """What a generator is to make, frame by frame."""

    latents: np.ndarray
    """float32 [frame, k], of one length."""
    classes: np.ndarray
    """float32 [frame, class], shares that sum to 1."""


@dataclass(frozen=True)
class Waypoints:
    """What is passed, at which distances."""

    marks: np.ndarray
    """float64 [n], distances from the beginning, rising."""
    values: np.ndarray
    """float64 [n, k]."""
    keyed: bool = False
    """Whether each mark is to be passed at a time of its own."""

    def between(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The waypoint before each distance, the one behind, both [frame, k], and the share of that, [frame].

        Before the first and behind the last they are held.
        """
        places = np.interp(distances, self.marks, np.arange(len(self.marks)))
        before = np.minimum(places.astype(int), max(len(self.marks) - 2, 0))
        behind = np.minimum(before + 1, len(self.marks) - 1)
        return self.values[before], self.values[behind], places - before


def plan_path(
    settings: WalkSettings,
    classes: Sequence[str],
    frames: int,
    features: Mapping[str, FeatureCurve],
    draw_latent: DrawLatent,
    measure_change: MeasureChange,
) -> WalkPath:
    """The way of so many frames.

    Speed is integrated to a distance. Latents lie one apart on the way; those with a key where the walk is at
    the key's time, so that the song decides how the time between two keys is spent. Of some stretches a
    generator makes much more change than of others: distances are moved so that the pictures change evenly,
    and what is heard in the song is seen. The lean is added last.

    Args:
        settings: of the walk; its classes are among `classes`.
        classes: of the generator, in the order of its input.
        frames: their number, 1 or more.
        features: of the song, those that the drives follow.
        draw_latent: for the place ("aside") of the direction that the way leans to, and of each latent.
        measure_change: of the generator's pictures.
    """
    times = np.arange(frames + 1) / float(settings.rate)
    speed = np.maximum(drive_setting("speed", settings.speed, settings.drives, features, times), MIN_SPEED)
    distances = np.concatenate(([0.0], np.cumsum(speed[:-1]))) / float(settings.rate)
    if settings.loop:
        whole = max(2, round(distances[-1]))
        distances *= whole / distances[-1]
    latents = _latent_waypoints(settings, times, distances, draw_latent)
    mixtures = _class_waypoints(settings, classes, times, distances)

    def at(places: np.ndarray) -> WalkPath:
        before, behind, share = mixtures.between(places)
        if not settings.class_keys:
            # The mixture of two classes is the least like either: it is passed quickly.
            share = share * share * (3 - 2 * share)
        return _to_path(_slerp(*latents.between(places)), before + share[:, None] * (behind - before))

    keyed = [each.marks for each in (latents, mixtures) if each.keyed]
    anchors = np.clip(np.concatenate([[0.0, distances[-1]], *keyed]), 0, distances[-1])
    points = np.unique(
        np.concatenate([anchors, np.linspace(0, distances[-1], round(POINTS * distances[-1]) + 2)])
    )
    there = at(points)
    passed = _pace_evenly(points, measure_change(there.latents, there.classes), np.unique(anchors))
    path = at(np.interp(distances[:-1], passed, points))
    lean = np.pi / 2 * drive_setting("turn", settings.turn, settings.drives, features, times[:-1])
    if settings.loop:
        back = np.clip((times[:-1] - times[-1]) / TURN_BACK_SECONDS + 1, 0, 1)
        lean = lean + back * (lean[0] - lean)
    aside = to_directions(draw_latent("aside"))
    return _to_path(_lean_aside(to_directions(path.latents), aside, lean), path.classes)


def _to_path(directions: np.ndarray, classes: np.ndarray) -> WalkPath:
    """A path of directions, [n, k], as long as latents are."""
    length = np.sqrt(directions.shape[1])
    return WalkPath((directions * length).astype(np.float32), classes.astype(np.float32))


def _pace_evenly(points: np.ndarray, change: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The distances at which points are to be passed so that change is even; anchors are passed at their own.

    Points, [n], rise, and anchors are among them; `change` from each to the next is [n - 1].
    """
    total = np.concatenate(([0.0], np.cumsum(change + LEAST_CHANGE * max(change.mean(), 1e-9))))
    return np.interp(total, np.interp(anchors, points, total), anchors)


def drive_setting(
    name: str, value: float, drives: Sequence[Drive], features: Mapping[str, FeatureCurve], times: np.ndarray
) -> np.ndarray:
    """A setting at some times, float64 [time]: its value times the factors of the drives that are its own."""
    values = np.full(len(times), float(value))
    for drive in drives:
        if drive.setting == name:
            low, high = drive.range
            values *= low + (high - low) * features[drive.feature].at(times)
    return values


def _latent_waypoints(
    settings: WalkSettings, times: np.ndarray, distances: np.ndarray, draw_latent: DrawLatent
) -> Waypoints:
    """Directions of latents: those with keys, or one at each whole distance."""
    if settings.latent_keys:
        keys = [(when, to_directions(draw_latent(number))) for when, number in settings.latent_keys]
        return _keyed_waypoints(keys, settings.loop, times, distances)
    count = round(distances[-1]) if settings.loop else int(np.ceil(distances[-1]))
    values = [to_directions(draw_latent(number + 1)) for number in range(count + 1)]
    if settings.loop:
        values[-1] = values[0]
    return Waypoints(np.arange(len(values), dtype=float), np.stack(values))


def _class_waypoints(
    settings: WalkSettings, classes: Sequence[str], times: np.ndarray, distances: np.ndarray
) -> Waypoints:
    """Shares of classes: those with keys, or those asked for one after the other, or all."""

    def mix(names: Sequence[str]) -> np.ndarray:
        return np.mean([np.eye(len(classes))[classes.index(name)] for name in names], axis=0)

    if settings.class_keys:
        keys = [(when, mix(names)) for when, names in settings.class_keys]
        return _keyed_waypoints(keys, settings.loop, times, distances)
    names = settings.class_names or tuple(classes)
    count = round(distances[-1]) if settings.loop else int(np.ceil(distances[-1]))
    values = [mix([names[number % len(names)]]) for number in range(count + 1)]
    if settings.loop:
        values[-1] = values[0]
    return Waypoints(np.arange(len(values), dtype=float), np.stack(values))


def _keyed_waypoints(
    keys: Sequence[tuple[float, np.ndarray]], loop: bool, times: np.ndarray, distances: np.ndarray
) -> Waypoints:
    """Values with keys, (seconds, value), each where the walk is at its time; a loop ends on the first."""
    inside = [(when, value) for when, value in keys if not loop or when < times[-1]] or list(keys[:1])
    if loop:
        inside.append((times[-1], inside[0][1]))
    step = distances[-1] / times[-1]
    marks = np.array([np.interp(when, times, distances) for when, _ in inside])
    # What lies before or behind the song keeps its distance in time.
    marks += step * np.array([min(when, 0.0) + max(when - times[-1], 0.0) for when, _ in inside])
    return Waypoints(marks, np.stack([value for _, value in inside]), keyed=True)


def to_directions(latents: np.ndarray) -> np.ndarray:
    """Vectors [..., k] of length 1: of a latent only its direction counts."""
    latents = np.asarray(latents, np.float64)
    return latents / np.linalg.norm(latents, axis=-1, keepdims=True)


def _slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Directions on the arcs from one to another, [frame, k], at a share 0..1 (Shoemake 1985)."""
    cosine = np.clip((start * end).sum(-1), -1, 1)
    angle = np.maximum(np.arccos(cosine), 1e-6)
    near, far = np.sin((1 - share) * angle), np.sin(share * angle)
    return to_directions((near[:, None] * start + far[:, None] * end) / np.sin(angle)[:, None])


def _lean_aside(way: np.ndarray, aside: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Directions [frame, k], each turned towards one that is square to it, as near to `aside` as can be."""
    square = to_directions(aside - (way @ aside)[:, None] * way)
    return np.cos(angles)[:, None] * way + np.sin(angles)[:, None] * square
