"""Let a recipe's schedule follow features of the film: one schedule for the picture, one for the sound.

The sound is measured whole, whatever part of it is dreamed, so an excerpt is driven like that part of the
whole. Of the picture only what is dreamed is measured: its features are normalized within the excerpt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmdream.analysis.curves import FeatureCurve, modulate_curve, modulate_motifs, normalize_feature
from mmdream.analysis.features import AudioFeatures, measure_video_features
from mmdream.analysis.shots import Scan
from mmdream.audio.source import AudioSource, read_blocks
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.report import Report
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.settings.definition import to_dict
from mmdream.settings.modulation import AUDIO_FEATURES, IMAGE_FEATURES, Drive
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.schedule import Schedule


@dataclass(frozen=True, slots=True)
class ModulatedSchedules:
    """The schedules of a film's picture and sound, with the features that they follow."""

    video: Schedule
    audio: Schedule
    descriptions: tuple[str, ...] = ()
    """A line for people about each drive."""

    def extend_report(self, report: Report, recipe: Recipe) -> Report:
        """A report with the keys of what a recipe drives in the media that were dreamed."""
        media = {"picture": (self.video, recipe.drives), "sound": (self.audio, resolve_sound_drives(recipe))}
        driven = {}
        for medium, (schedule, drives) in media.items():
            if drives and medium in report.schedule:
                keys = to_dict(schedule)
                driven[medium] = {drive.setting: keys[drive.setting] for drive in drives}
        return replace(report, driven=driven)

    def to_json(self) -> str:
        """The schedules as text, without loss."""
        return json.dumps([to_dict(self.video), to_dict(self.audio), self.descriptions])

    @staticmethod
    def from_json(text: str) -> ModulatedSchedules:
        """What `to_json` gave."""
        video, audio, descriptions = json.loads(text)
        return ModulatedSchedules(Schedule(**video), Schedule(**audio), tuple(descriptions))


def resolve_sound_drives(recipe: Recipe) -> tuple[Drive, ...]:
    """What drives the sound's dream: its own drives, or else the picture's but for motifs."""
    return recipe.sound_drives or tuple(drive for drive in recipe.drives if drive.setting != "motif")


def check_drives(film: MediaFile, recipe: Recipe, order: Selection | None = None) -> None:
    """Refuse, before any work, what cannot be driven; `order` is None where only the sound is dreamed.

    Raises:
        UserError: no sound, or no picture, to follow; nothing that is dreamed would.
    """
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
    the film's first).

    Raises:
        UserError: see `check_drives`.
        Interrupted: `should_stop`, asked now and then, said so.
    """
    names = {drive.feature for drive in (*recipe.drives, *recipe.sound_drives)}
    features: dict[str, FeatureCurve] = {}
    if audio_names := names & set(AUDIO_FEATURES):
        track = track or film.audio_tracks[0]
        blocks = (samples for _, samples in decode_audio(film, track))
        features |= _measure_sound(blocks, track.rate, float(track.start), audio_names, should_stop)
    if scan is not None and (video_names := names & set(IMAGE_FEATURES)):
        start, measured = measure_video_features(scan, film.start, video_names)
        features |= {name: normalize_feature(name, start, values) for name, values in measured.items()}
    base = recipe.schedule
    video = _modulate_schedule(base, recipe.drives, features)
    audio = _modulate_schedule(base, resolve_sound_drives(recipe), features)
    descriptions = [
        *_describe_drives(base, video, recipe.drives, features, ""),
        *_describe_drives(base, audio, recipe.sound_drives, features, "sound: "),
    ]
    return ModulatedSchedules(video, audio, tuple(descriptions))


def modulate_audio_recipe(source: AudioSource, recipe: Recipe) -> Recipe:
    """A recipe whose schedule follows the sound that is dreamed.

    Raises:
        UserError: it is to follow a picture.
    """
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


def _describe_drives(
    base: Schedule,
    schedule: Schedule,
    drives: Sequence[Drive],
    features: dict[str, FeatureCurve],
    prefix: str,
) -> Iterable[str]:
    """A line about each drive, and what it makes of the schedule's own settings."""
    for drive in drives:
        name, feature = drive.setting.replace("_", "-"), drive.feature
        if not len(features[feature].values):
            yield (
                f"{prefix}{name} is held at the middle of its range: there is nothing to follow in the {feature}"
            )
        elif name == "motif":
            yield f"{prefix}motif follows {feature}: {' to '.join(base.motif_curve.names)}"
        else:
            values = [value for _, value in schedule.curve(drive.setting).keys]
            yield f"{prefix}{name} follows {feature}: {min(values):.2g} to {max(values):.2g}"
