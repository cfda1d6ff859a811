"""The film of a walk before it is dreamed: a generator's pictures, enlarged, and the song, in one file.

It is a source as any other: all that dreams films, goes on with them and compares them takes it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np

from mmdream.analysis.features import FeatureCurve
from mmdream.analysis.modulate import measure_sound_features
from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.core.files import hash_file, output_workspace
from mmdream.core.threads import prefetch
from mmdream.media.audio_files import extract_audio
from mmdream.media.formats import run_ffmpeg
from mmdream.media.probe import AudioTrack, MediaFile, probe, read_tags
from mmdream.media.video_writer import VideoWriter, describe_new_video
from mmdream.networks.generator_card import GeneratorCard, find_generator
from mmdream.render.generated.walk_path import plan_path
from mmdream.render.start import enlarge_picture
from mmdream.settings.definition import to_dict
from mmdream.settings.walk import WalkSettings

WALK_ENDING = ".walk.mov"
"""QuickTime: any clock, and a sound that nothing is taken away from."""
BATCH = 32
"""Pictures that are made at once."""
MAX_SECONDS = 4 * 3600
"""Of a song: what is longer is a mistake."""


@dataclass(frozen=True)
class Walk:
    """What a film is to be made of, checked."""

    settings: WalkSettings
    generator: GeneratorCard
    song: MediaFile
    seed: int

    @property
    def track(self) -> AudioTrack:
        """The sound that is walked to: the song's first."""
        return self.song.audio_tracks[0]

    @property
    def digest(self) -> str:
        """What tells the film of this walk from others."""
        known = [to_dict(self.settings), self.generator.sha256, hash_file(self.song.path), self.seed]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def describe_walk(song: Path, settings: WalkSettings, seed: int) -> Walk:
    """Check a walk; `UserError`: no generator, none of its classes, or no sound to walk to."""
    if not settings.generator:
        raise UserError("choose what is walked through with --generator; `mmdream nets` lists generators")
    card, film = find_generator(settings.generator, "picture"), probe(song)
    if not film.audio_tracks:
        raise UserError(f"{song}: has no sound to walk to")

    def resolve(name: str) -> str:
        return card.classes[card.class_index(name)]

    names = ",".join(map(resolve, settings.class_names)) or None
    keys = tuple((when, tuple(map(resolve, names))) for when, names in settings.class_keys)
    return Walk(replace(settings, classes=names, class_keys=keys), card, film, seed)


def write_walk_film(walk: Walk, path: Path, overwrite: bool, sink: EventSink) -> bool:
    """Make the film of a walk, unless it is there already; returns whether it was made.

    A `UserError`: another file has its name, a damaged generator, a sound without samples, or a full disk.
    """
    if path.exists() and not overwrite:
        if read_tags(path).get("comment") == walk.digest:
            return False
        raise UserError(
            f"{path}: exists already, and is another walk; add --overwrite, or name another with -o"
        )
    with output_workspace(path, overwrite) as work:
        wave = work / "song.wav"
        span = extract_audio(walk.song, walk.track, wave)
        seconds = Fraction(span.n_samples, walk.track.rate)
        if not 0 < seconds <= MAX_SECONDS:
            raise UserError(f"{walk.song.path}: its sound lasts {float(seconds):.0f} seconds")
        frames = math.ceil(seconds * walk.settings.rate)
        names = {drive.feature for drive in walk.settings.drives}
        measured = measure_sound_features(walk.song, walk.track, names)
        # The film begins with the sound, wherever that lies in its file.
        begin = float(walk.track.start)
        features = {name: replace(each, start=each.start - begin) for name, each in measured.items()}
        _write_frames(_make_frames(walk, frames, features), frames, work / "picture.mov", walk.settings, sink)
        _join(work / "picture.mov", wave, walk, work / path.name)
    return True


def _make_frames(
    walk: Walk, frames: int, features: dict[str, FeatureCurve]
) -> Generator[np.ndarray, None, None]:
    """The frames, float32 [H, W, 3], 0..1, through the pictures that `mmdream image --count` numbers."""
    from mmdream.networks.generator import draw_latent, load_generator  # TensorFlow.

    generator = load_generator(walk.generator)

    def draw(place: str | int) -> np.ndarray:
        if isinstance(place, str):
            return draw_latent(walk.seed, "walk", place)
        return draw_latent(walk.seed, "picture", place - 1)

    def measure_change(latents: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return np.abs(np.diff(generator.make_pictures(latents, classes), axis=0)).mean((1, 2, 3))

    path = plan_path(walk.settings, walk.generator.classes, frames, features, draw, measure_change)
    width, height = walk.settings.frame_size
    for first in range(0, frames, BATCH):
        there = slice(first, first + BATCH)
        for picture in generator.make_pictures(path.latents[there], path.classes[there]):
            yield enlarge_picture(picture, height, width)


def _write_frames(
    frames: Generator[np.ndarray, None, None], count: int, path: Path, settings: WalkSettings, sink: EventSink
) -> None:
    width, height = settings.frame_size
    video = describe_new_video(width, height, settings.rate, count)
    with (
        VideoWriter(path, video, path.suffix, 1 / settings.rate) as writer,
        closing(prefetch(frames)) as made,
    ):
        for number, rgb in enumerate(made):
            writer.write(rgb, number)
            sink.progress("walk", number + 1, count)


def _join(picture: Path, wave: Path, walk: Walk, out: Path) -> None:
    """Put pictures and samples into one file, both from 0 on, nothing encoded."""
    streams = ffmpeg.input(str(picture))["v:0"], ffmpeg.input(str(wave))["a:0"]
    rate = walk.settings.rate.numerator
    options = {"c": "copy", "format": "mov", "metadata": f"comment={walk.digest}"}
    options["video_track_timescale"] = str(rate * -(-10_000 // rate))
    run_ffmpeg(ffmpeg.output(*streams, str(out), **options), out)
