"""A copy of a film, made of its own decoded frames and samples: what a dream of strength 0 does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from mmdream.media import audio_files, mux, video_reader
from mmdream.media.probe import MediaFile, probe
from mmdream.media.tracks import OutputAudioTrack
from mmdream.media.video_writer import VideoWriter


@dataclass
class Copy:
    """A source, what was read of it, and the result."""

    source: MediaFile
    read: list[video_reader.Frame]
    sound: np.ndarray | None
    """Of the track that was written anew."""
    sound_start: Fraction
    result: MediaFile
    tracks: tuple[OutputAudioTrack, ...]
    warnings: list[str]

    @property
    def seconds(self) -> list[Fraction]:
        return [frame.seconds for frame in self.read]


def read_frame_times(film: MediaFile) -> list[Fraction]:
    """Seconds of the file's own clock at which each frame is shown."""
    return [frame.seconds + film.start for frame in video_reader.read_frames(film)]


def decode_samples(film: MediaFile, folder: Path, number: int = 0) -> tuple[Fraction, np.ndarray]:
    """Second of the file's own clock at which a sound begins, and its samples [channel, sample]."""
    path = folder / "samples.wav"
    found = audio_files.extract_audio(film, film.audio_tracks[number], path)
    return found.start + film.start, soundfile.read(path, dtype="float32", always_2d=True)[0].T


def copy_film(
    path: Path,
    suffix: str,
    folder: Path,
    start: Fraction | None = None,
    end: Fraction | None = None,
    keep_picture: bool = False,
    keep_sound: bool = False,
    number: int = 1,
) -> Copy:
    """Decode, encode and mux, with the sound track of this number written anew."""
    source = probe(path)
    warnings: list[str] = []
    assert source.video is not None
    read = list(video_reader.read_frames(source, start, end, on_warning=warnings.append))
    picture = dream = None
    if not keep_picture:
        picture = folder / "picture"
        with VideoWriter(picture, source.video, suffix, source.video.time_base) as writer:
            for frame in read:
                writer.write(frame.rgb, frame.pts)
    sound, sound_start = None, Fraction(0)
    if source.audio_tracks and not keep_sound:
        wave = folder / "sound.wav"
        track = next(sound for sound in source.audio_tracks if sound.number == number)
        dream = OutputAudioTrack(track, wave, audio_files.extract_audio(source, track, wave, start, end))
        assert dream.wave_span is not None
        sound_start = dream.wave_span.start
        sound = soundfile.read(wave, dtype="float32", always_2d=True)[0].T
    out = folder / f"again{suffix}"
    tracks = mux.mux_video(
        source,
        picture,
        dream,
        out,
        start=start,
        end=end,
        on_warning=warnings.append,
    )
    return Copy(source, read, sound, sound_start, probe(out), tracks, warnings)
