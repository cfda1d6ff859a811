"""Let a recipe's schedule follow features of the film: one schedule for the picture, one for the sound.

The sound is measured whole, whatever part of it is dreamed, so an excerpt is driven like that part of the
whole. Of the picture only what is dreamed is measured: its features are normalized within the excerpt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmdream.analysis.features import AudioFeatures, FeatureCurve, measure_video_features, normalize_feature
from mmdream.analysis.shots import Scan
from mmdream.audio.source import AudioSource, read_blocks
from mmdream.core.errors import Interrupted, UserError
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.settings.definition import to_dict
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.report import Report
from mmdream.settings.schedule import (
    AUDIO_FEATURES,
    AUDIO_SETTINGS,
    IMAGE_FEATURES,
    IMAGE_SETTINGS,
    SCHEDULE_LIMITS,
    Curve,
    Drive,
    MotifCurve,
    Schedule,
)

THINNING_TOLERANCE = 0.03
"""How far a thinned curve may lie off, as a share of the setting's largest value."""
MOTIF_SHARES = 8
"""Shares that two motifs are mixed in."""


@dataclass(frozen=True, slots=True)
class ModulatedSchedules:
    """The schedules of a film's picture and sound, with the features that they follow."""

    video: Schedule
    audio: Schedule
    descriptions: tuple[str, ...] = ()
    """A line for people about each drive."""

    def extend_report(self, report: Report, recipe: Recipe) -> Report:
        """A report with the keys of what a recipe drives in the media that were dreamed."""
        media = {
            "picture": (self.video, resolve_picture_drives(recipe)),
            "sound": (self.audio, resolve_sound_drives(recipe)),
        }
        driven = {
            medium: {drive.setting: to_dict(schedule)[drive.setting] for drive in drives}
            for medium, (schedule, drives) in media.items()
            if drives and medium in report.schedule
        }
        return replace(report, driven=driven)

    def to_json(self) -> str:
        """The schedules as text, without loss; `from_json` reads it."""
        return json.dumps([to_dict(self.video), to_dict(self.audio), self.descriptions])

    @staticmethod
    def from_json(text: str) -> ModulatedSchedules:
        """Read what `to_json` gave."""
        video, audio, descriptions = json.loads(text)
        return ModulatedSchedules(Schedule(**video), Schedule(**audio), tuple(descriptions))


def resolve_picture_drives(recipe: Recipe) -> tuple[Drive, ...]:
    """What drives the picture's dream, of what it can follow."""
    return tuple(drive for drive in recipe.drives if drive.setting not in AUDIO_SETTINGS)


def resolve_sound_drives(recipe: Recipe) -> tuple[Drive, ...]:
    """What drives the sound's dream: its own drives, or else the picture's as far as it can follow."""
    return recipe.sound_drives or tuple(
        drive for drive in recipe.drives if drive.setting not in IMAGE_SETTINGS
    )


def check_drives(film: MediaFile, recipe: Recipe, order: Selection | None = None) -> None:
    """Refuse, before any work, what cannot be driven; without `order` only the sound is dreamed."""
    drives = [*recipe.drives, *recipe.sound_drives]
    by_sound = sorted((drive for drive in drives if drive.feature in AUDIO_FEATURES), key=str)
    if by_sound and not film.audio_tracks:
        drive = by_sound[0]
        raise UserError(f"{film.path}: has no sound, so nothing can follow its {drive.feature}; drop {drive}")
    if order is None:
        _check_audio_drives(drives)
    if not film.audio_tracks and recipe.sound_drives:
        raise UserError(f"{film.path}: has no sound, so nothing that is heard can follow; drop --drive-sound")
    if order is not None and order.keep_sound and recipe.sound_drives:
        raise UserError("--drive-sound is for the dream of the sound; drop it or --keep-sound")


def _check_audio_drives(drives: Iterable[Drive]) -> None:
    for drive in sorted(drives, key=str):
        if drive.feature in IMAGE_FEATURES:
            choices = ", ".join(AUDIO_FEATURES)
            raise UserError(f"drive {drive}: a sound has no {drive.feature}; choose {choices}")


def modulate_schedules(
    film: MediaFile,
    recipe: Recipe,
    scan: Scan | None,
    should_stop: Callable[[], bool],
    track: AudioTrack | None = None,
) -> ModulatedSchedules:
    """Measure the features that a recipe's drives follow, and apply them to its schedule.

    `scan` is of what is dreamed of the picture (None: only the sound is), `track` the sound to follow (None:
    the film's first). Where `should_stop`, asked now and then, says so, it raises `Interrupted`.
    """
    names = {drive.feature for drive in (*recipe.drives, *recipe.sound_drives)}
    features: dict[str, FeatureCurve] = {}
    if audio_names := names & set(AUDIO_FEATURES):
        track = track or film.audio_tracks[0]
        features |= measure_sound_features(film, track, audio_names, should_stop)
    if scan is not None and (video_names := names & set(IMAGE_FEATURES)):
        start, measured = measure_video_features(scan, film.start, video_names)
        features |= {name: normalize_feature(name, start, values) for name, values in measured.items()}
    base = recipe.schedule
    video = _modulate_schedule(base, resolve_picture_drives(recipe), features)
    audio = _modulate_schedule(base, resolve_sound_drives(recipe), features)
    descriptions = [
        _describe_drive(drive, base, audio if drive.setting in AUDIO_SETTINGS else video, features)
        for drive in recipe.drives
    ]
    descriptions += [f"sound: {_describe_drive(each, base, audio, features)}" for each in recipe.sound_drives]
    return ModulatedSchedules(video, audio, tuple(descriptions))


def measure_sound_features(
    film: MediaFile,
    track: AudioTrack,
    names: Collection[str],
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, FeatureCurve]:
    """Normalized features of a sound track, on the film's clock; `should_stop` leads to `Interrupted`."""
    blocks = (samples for _, samples in decode_audio(film, track))
    return _measure_sound(blocks, track.rate, float(track.start), names, should_stop)


def modulate_audio_recipe(source: AudioSource, recipe: Recipe) -> Recipe:
    """A recipe whose schedule follows the sound that is dreamed; to follow a picture is a `UserError`."""
    drives = resolve_sound_drives(recipe)
    _check_audio_drives(drives)
    if not drives:
        return recipe
    names = {drive.feature for drive in drives}
    features = _measure_sound(read_blocks(source), source.rate, 0.0, names)
    return with_modulated_schedule(recipe, _modulate_schedule(recipe.schedule, drives, features))


def with_modulated_schedule(recipe: Recipe, schedule: Schedule) -> Recipe:
    """A recipe with a schedule that follows its drives already."""
    return replace(recipe, schedule=schedule, drives=(), sound_drives=())


def _measure_sound(
    blocks: Iterable[np.ndarray],
    rate: int,
    start: float,
    names: Collection[str],
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, FeatureCurve]:
    """Normalized features of blocks in order, float32 [channel, sample], the first sample at `start`."""
    features = AudioFeatures(rate, names)
    for samples in blocks:
        if should_stop():
            raise Interrupted
        features.feed(samples)
    return {name: normalize_feature(name, start, values) for name, values in features.finish().items()}


def _modulate_schedule(
    schedule: Schedule, drives: Sequence[Drive], features: dict[str, FeatureCurve]
) -> Schedule:
    settings: dict[str, object] = {}
    for name in dict.fromkeys(drive.setting for drive in drives):
        factors = [(drive.range, features[drive.feature]) for drive in drives if drive.setting == name]
        if name == "motif":
            settings[name] = modulate_motifs(schedule.motif_curve.names, factors[0][1])
        else:
            settings[name] = modulate_curve(name, schedule.curve(name), factors)
    return schedule.with_settings(**settings)


def modulate_curve(
    name: str, base: Curve, drives: Sequence[tuple[tuple[float, float], FeatureCurve]]
) -> Curve:
    """A setting's curve times the factors of its drives, (low, high) and a feature, within its limits."""
    key_times = np.array([seconds for seconds, _ in base.keys])
    times = np.unique(np.concatenate([key_times, *(feature.times for _, feature in drives)]))
    values = np.asarray(base.at(times), np.float64)
    for (low, high), feature in drives:
        values = values * (low + (high - low) * feature.at(times))
    values = np.clip(values, *SCHEDULE_LIMITS[name])
    kept = thin_keys(times, values, THINNING_TOLERANCE * float(values.max()))
    return Curve(tuple(zip(times[kept].tolist(), values[kept].tolist(), strict=True)))


def modulate_motifs(names: Sequence[str], feature: FeatureCurve) -> MotifCurve:
    """Two or more motifs over time: the first where a feature is least, the last where it is most.

    In each key a motif is named as often as it has shares of the mixture.
    """
    times = feature.times if len(feature.values) else np.zeros(1)
    positions = feature.at(times) * (len(names) - 1)
    kept = thin_keys(times, positions, THINNING_TOLERANCE * (len(names) - 1))
    keys: list[tuple[float, tuple[str, ...]]] = []
    for seconds, position in _split_at_motifs(times[kept], positions[kept]):
        below = min(int(position), len(names) - 2)
        shares = round((position - below) * MOTIF_SHARES)
        keys.append((seconds, (names[below],) * (MOTIF_SHARES - shares) + (names[below + 1],) * shares))
    return MotifCurve(tuple(keys))


def _split_at_motifs(times: np.ndarray, positions: np.ndarray) -> list[tuple[float, float]]:
    """The keys, and one more wherever a line passes a whole number: there, one motif stands alone."""
    keys = [(float(times[0]), float(positions[0]))]
    for end, position in zip(times[1:].tolist(), positions[1:].tolist(), strict=True):
        start, origin = keys[-1]
        low, high = sorted((origin, position))
        crossed = [float(k) for k in range(int(np.floor(low)) + 1, int(np.ceil(high)))]
        for k in crossed if position > origin else crossed[::-1]:
            keys.append((start + (end - start) * (k - origin) / (position - origin), k))
        keys.append((end, position))
    return keys


def thin_keys(times: np.ndarray, values: np.ndarray, tolerance: float) -> np.ndarray:
    """Rising indices of the keys that are enough, by Douglas and Peucker (1973), measured vertically.

    The straight lines between them miss no value, float64 [value] at rising times, by more than `tolerance`.
    """
    kept, spans = {0, len(times) - 1}, [(0, len(times) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        line = np.interp(times[first:last], times[[first, last]], values[[first, last]])
        misses = np.abs(values[first:last] - line)
        worst = first + int(misses.argmax())
        if misses[worst - first] > tolerance:
            kept.add(worst)
            spans += [(first, worst), (worst, last)]
    is_constant = len(kept) == 2 and abs(values[0] - values[-1]) <= tolerance
    return np.array([0] if is_constant else sorted(kept))


def _describe_drive(
    drive: Drive, base: Schedule, schedule: Schedule, features: dict[str, FeatureCurve]
) -> str:
    """A line about a drive, and what it makes of the schedule's own setting."""
    name, feature = drive.setting.replace("_", "-"), drive.feature
    if not len(features[feature].values):
        return f"{name} is held at the middle of its range: there is nothing to follow in the {feature}"
    if name == "motif":
        return f"motif follows {feature}: {' to '.join(base.motif_curve.names)}"
    values = [value for _, value in schedule.curve(drive.setting).keys]
    return f"{name} follows {feature}: {min(values):.2g} to {max(values):.2g}"
