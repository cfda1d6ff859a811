"""Walks as films: the song's samples under the pictures, made once, dreamed as any film, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from make import make_times, write_film

from mmdream.core.errors import UserError
from mmdream.core.events import EventSink
from mmdream.media.audio_files import decode_audio
from mmdream.media.probe import probe
from mmdream.media.video_reader import read_frames
from mmdream.render.generated.walk_film import describe_walk, write_walk_film
from mmdream.settings.walk import WalkSettings
from tests.command import mmdream, run_for_report

RATE = 22_050
pytestmark = pytest.mark.usefixtures("small_generator")


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.3 seconds of beats."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    seconds = np.arange(round(1.3 * RATE)) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * seconds) * np.exp(-8 * (seconds % 0.4)), RATE)
    return path


def test_a_walk_has_the_songs_samples_and_is_made_once(song: Path, tmp_path: Path):
    walk, path = describe_walk(song, WalkSettings("small", size="64x48", fps=24), 3), tmp_path / "a.walk.mov"
    assert write_walk_film(walk, path, False, EventSink())
    film = probe(path)
    frames = [frame.rgb for frame in read_frames(film)]
    assert len(frames) == 32  # The last one is shown as the song ends.
    assert frames[0].shape == (48, 64, 3)
    heard = np.concatenate([samples for _, samples in decode_audio(film, film.audio_tracks[0])], 1)
    written, _ = soundfile.read(song, dtype="float32")
    np.testing.assert_array_equal(heard[0], written)
    before = path.stat()
    assert not write_walk_film(walk, path, False, EventSink())
    assert path.stat() == before
    other = describe_walk(song, WalkSettings("small", size="64x48", fps=24), 4)
    with pytest.raises(UserError, match="is another walk"):
        write_walk_film(other, path, False, EventSink())
    assert path.stat() == before


def test_a_walk_is_dreamed_in_step_with_its_song(song: Path, tmp_path: Path):
    (tmp_path / "keys.toml").write_text(
        '[[key]]\nat = 0\nclasses = "lemon"\nlatent = 4\n[[key]]\nat = 1\nlatent = 2\n'
    )
    words = ("walk", song, "--generator", "small", "--size", "64x48", "--steps", "1", "--octaves", "1")
    words += ("--schedule", tmp_path / "keys.toml", "-o", tmp_path / "film.mp4")
    status, told, report = run_for_report(*words)
    assert status == 0, told
    assert (report["frames"], report["drift_ms"]) == (33, 0)
    assert report["strength"]["picture"] > 0.005
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "film.walk.mov", "keys.toml"]
    film = probe(tmp_path / "film.mp4")
    heard = np.concatenate([samples for _, samples in decode_audio(film, film.audio_tracks[0])], 1)[0]
    written, _ = soundfile.read(song, dtype="float32")
    assert np.corrcoef(heard[: len(written)], written)[0, 1] > 0.99
    again = mmdream(*words)
    assert again.returncode == 2
    assert "film.mp4: exists already" in again.stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "choose what is walked through with --generator"),
        (("--generator", "dreamnet"), "dreamnet: is a network that dreams"),
        (
            ("--generator", "small", "--classes", "lemming"),
            'generator small makes no "lemming"; nearest: lemon',
        ),
        (("--generator", "small", "--net", "nothing"), 'no network "nothing"'),
        (("--generator", "small", "--drive", "speed=onset"), "only a walk has a speed"),
        (("--generator", "small", "--schedule", "KEYS"), 'generator small makes no "toad"'),
        (("--generator", "small", "--job-dir", "KEYS"), "holds other files"),
    ],
)
def test_wrong_walks_are_told_in_one_line(song: Path, tmp_path: Path, options: tuple[str, ...], line: str):
    (tmp_path / "files").mkdir()
    keys = tmp_path / "files" / "keys.toml"
    keys.write_text('[[key]]\nat = 0\nclasses = "toad"\n')
    given = [
        keys.parent if word == "KEYS" and "--job-dir" in options else keys if word == "KEYS" else word
        for word in options
    ]
    done = mmdream("walk", song, *given, "--size", "64x48", "-o", tmp_path / "out.mp4")
    assert done.returncode == 2
    assert done.stderr.count("error") == 1
    assert line in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_no_sound_and_keys_of_a_walk_elsewhere_are_told(song: Path, tmp_path: Path):
    silent = write_film(tmp_path / "silent.mkv", make_times(5, 25))
    done = mmdream("walk", silent, "--generator", "small", "-o", tmp_path / "out.mp4")
    assert (done.returncode, "has no sound to walk to" in done.stderr) == (2, True)
    keys = tmp_path / "keys.toml"
    keys.write_text("[[key]]\nat = 0\nlatent = 1\n")
    done = mmdream("video", song, "--schedule", keys)
    assert (done.returncode, "are for `mmdream walk`" in done.stderr) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.toml", "silent.mkv"]
