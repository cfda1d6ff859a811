"""A recipe's schedule made to follow the film: one for the picture, and one for the sound.

The sound is heard whole, whatever part of it is dreamed, so an excerpt is driven like that part of the whole.
Of the picture only what is dreamed is looked at: its features are brought to 0..1 within the excerpt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmdream.analysis import curves
from mmdream.analysis import features as seen
from mmdream.analysis.features import AudioFeatures
from mmdream.analysis.shots import Scan
from mmdream.audio.source import AudioSource, read_blocks
from mmdream.core.errors import Interrupted, UserError
from mmdream.core.report import Report
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import AudioTrack, MediaFile
from mmdream.settings import modulation
from mmdream.settings.definition import to_dict
from mmdream.settings.modulation import Drive
from mmdream.settings.recipe import Recipe, Selection
from mmdream.settings.schedule import Schedule

NOTHING_TO_FOLLOW = (
    "{setting} is held at the middle of its range: there is nothing to follow in the {feature}"
)


@dataclass(frozen=True, slots=True)
class ModulatedSchedules:
    """What both media of a film ask for, over time."""

    video: Schedule
    sound: Schedule
    told: tuple[str, ...] = ()
    """A line for people about each drive."""

    def extend_report(self, report: Report, recipe: Recipe) -> Report:
        """A report with the keys of what a recipe drives in the media that were dreamed."""
        media = {"picture": (self.video, recipe.drives), "sound": (self.sound, resolve_sound_drives(recipe))}
        found = {}
        for medium, (schedule, drives) in media.items():
            if drives and medium in report.schedule:
                every = to_dict(schedule)
                found[medium] = {each.setting: every[each.setting] for each in drives}
        return replace(report, driven=found)

    def to_json(self) -> str:
        """The schedules as text, without loss."""
        return json.dumps([to_dict(self.video), to_dict(self.sound), self.told])

    @staticmethod
    def from_json(text: str) -> ModulatedSchedules:
        """What `to_json` gave."""
        picture, sound, told = json.loads(text)
        return ModulatedSchedules(Schedule(**picture), Schedule(**sound), tuple(told))


def resolve_sound_drives(recipe: Recipe) -> tuple[Drive, ...]:
    """What drives the sound's dream: its own drives, or else the picture's; motifs it has none."""
    return recipe.sound_drives or tuple(each for each in recipe.drives if each.setting != "motif")


def check_drives(film: MediaFile, recipe: Recipe, order: Selection | None = None) -> None:
    """Refuse, before any work, what cannot be driven.

    Args:
        film: the source.
        recipe: how to dream.
        order: what is wanted of a film; None: only its sound is dreamed.

    Raises:
        UserError: no sound, or no picture, to follow; nothing that is dreamed would.
    """
    every = {*recipe.drives, *recipe.sound_drives}
    if not film.audio_tracks and (lost := _first_drive_of(every, modulation.AUDIO_FEATURES)):
        raise UserError(f"{film.path}: has no sound, so nothing can follow its {lost.feature}; drop {lost}")
    if order is None:
        _check_audio_drives(every)
    if not film.audio_tracks and recipe.sound_drives:
        raise UserError(f"{film.path}: has no sound, so nothing that is heard can follow; drop --drive-sound")
    if order is not None and order.keep_sound and recipe.sound_drives:
        raise UserError("--drive-sound is for the dream of the sound; drop it or --keep-sound")


def _check_audio_drives(drives: Iterable[Drive]) -> None:
    if lost := _first_drive_of(drives, modulation.IMAGE_FEATURES):
        choices = ", ".join(modulation.AUDIO_FEATURES)
        raise UserError(f"drive {lost}: a sound has no {lost.feature}; choose {choices}")


def _first_drive_of(drives: Iterable[Drive], medium: dict[str, str]) -> Drive | None:
    return next((each for each in sorted(drives, key=str) if each.feature in medium), None)


def modulate_schedules(
    film: MediaFile,
    recipe: Recipe,
    found: Scan | None,
    stopped: Callable[[], bool],
    track: AudioTrack | None = None,
) -> ModulatedSchedules:
    """Measure what a recipe's drives ask for, and lay it on the schedule.

    Args:
        film: the source.
        recipe: its drives are both media's, unless it has some for the sound.
        found: the scan of what is dreamed of the picture; None: only the sound is.
        stopped: asked now and then; True ends it.
        track: the sound to follow; None: the film's first.

    Raises:
        UserError: see `check_drives`.
        Interrupted: `stopped` said so.
    """
    every = [*recipe.drives, *recipe.sound_drives]
    if not every:
        return ModulatedSchedules(recipe.schedule, recipe.schedule)
    wanted = {each.feature for each in every}
    measured: dict[str, curves.FeatureCurve] = {}
    if listened := wanted & set(modulation.AUDIO_FEATURES):
        track = track or film.audio_tracks[0]
        measured |= measure_audio_features(
            decode_audio(film, track), track.rate, float(track.start), listened, stopped
        )
    if found is not None and (looked := wanted & set(modulation.IMAGE_FEATURES)):
        start, values = seen.measure_video_features(found, film.start, looked)
        measured |= {name: curves.normalize_feature(name, start, row) for name, row in values.items()}
    picture = modulate_schedule(recipe.schedule, recipe.drives, measured)
    sound = modulate_schedule(recipe.schedule, resolve_sound_drives(recipe), measured)
    told = [
        *_describe_drives(recipe.schedule, picture, recipe.drives, measured, ""),
        *_describe_drives(recipe.schedule, sound, recipe.sound_drives, measured, "sound: "),
    ]
    return ModulatedSchedules(picture, sound, tuple(told))


def modulate_audio_recipe(source: AudioSource, recipe: Recipe) -> Recipe:
    """A recipe whose schedule follows the sound that is dreamed.

    Raises:
        UserError: it is to follow a picture.
    """
    drives = resolve_sound_drives(recipe)
    _check_audio_drives(drives)
    if not drives:
        return recipe
    measured = measure_audio_features(
        read_blocks(source), source.rate, 0.0, {each.feature for each in drives}
    )
    return with_modulated_schedule(recipe, modulate_schedule(recipe.schedule, drives, measured))


def modulate_schedule(
    schedule: Schedule, drives: Sequence[Drive], measured: dict[str, curves.FeatureCurve]
) -> Schedule:
    """A schedule whose driven settings follow their features."""
    settings: dict[str, object] = {}
    for name in dict.fromkeys(each.setting for each in drives):
        follows = [(each.range, measured[each.feature]) for each in drives if each.setting == name]
        if name == "motif":
            settings[name] = curves.modulate_motifs(schedule.motif_curve.names, follows[0][1])
        else:
            settings[name] = curves.modulate_curve(name, schedule.curve(name), follows)
    return schedule.with_settings(**settings)


def measure_audio_features(
    sound: Iterable[np.ndarray],
    rate: int,
    start: float,
    wanted: Collection[str],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, curves.FeatureCurve]:
    """Features of a sound.

    Args:
        sound: its blocks in order, float32 [channel, sample].
        rate: samples a second.
        start: seconds of the first sample.
        wanted: of `drive.AUDIO_FEATURES`.
        stopped: asked at each block; True ends it.

    Raises:
        Interrupted: `stopped` said so.
    """
    measuring = AudioFeatures(rate, wanted)
    for samples in sound:
        if stopped():
            raise Interrupted
        measuring.feed(samples)
    return {name: curves.normalize_feature(name, start, values) for name, values in measuring.found().items()}


def _describe_drives(
    base: Schedule,
    schedule: Schedule,
    drives: Sequence[Drive],
    measured: dict[str, curves.FeatureCurve],
    medium: str,
) -> Iterable[str]:
    """A line about each drive, and what it makes of the schedule's own settings."""
    for each in drives:
        name = each.setting.replace("_", "-")
        if not len(measured[each.feature].values):
            yield medium + NOTHING_TO_FOLLOW.format(feature=each.feature, setting=name)
        elif name == "motif":
            yield f"{medium}motif follows {each.feature}: {' to '.join(base.motif_curve.names)}"
        else:
            values = [value for _, value in schedule.curve(each.setting).keys]
            yield f"{medium}{name} follows {each.feature}: {min(values):.2g} to {max(values):.2g}"


def with_modulated_schedule(recipe: Recipe, schedule: Schedule) -> Recipe:
    """A recipe whose schedule was driven already."""
    return replace(recipe, schedule=schedule, drives=(), sound_drives=())
